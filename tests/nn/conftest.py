"""How tests of language models run: float32, types promoted as Flax does, eight CPU devices, quick compilations."""

import os
import pathlib

QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
os.environ.setdefault("XLA_FLAGS", QUICK)  # before JAX starts
os.environ.setdefault("LLEVAL_CACHE", "off")  # no test writes to the cache of whoever runs it
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test asks a hub
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import jax  # noqa: E402
import pytest  # noqa: E402
from memory import room  # noqa: E402, F401  (a fixture)

pytest_plugins = ["turns"]

CHECKOUT = pathlib.Path(__file__).parents[2]
jax.config.update("jax_num_cpu_devices", 8)
KEPT = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(CHECKOUT / ".pytest_cache" / "jax"))
jax.config.update("jax_compilation_cache_dir", KEPT)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The folder of public data sets beside the checkout, or LLEVAL_SHARED."""
    place = pathlib.Path(os.environ.get("LLEVAL_SHARED", CHECKOUT.parent / "shared"))
    if not (place / "data").is_dir():
        pytest.skip(f"needs the shared data: no folder {place / 'data'}; name it with LLEVAL_SHARED")
    return place
