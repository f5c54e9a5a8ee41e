"""How all tests run: x64 on, no silent promotion of types or ranks, shapes checked, four CPU devices.

Most of the tests' time is XLA compiling. So programs are compiled without its expensive passes (the whole unmarked set
takes a fifth less time), and kept in JAX_COMPILATION_CACHE_DIR, else in `.pytest_cache`, for the other worker and the
next run.
"""

import os
import pathlib

QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
os.environ.setdefault("XLA_FLAGS", QUICK)  # before JAX starts

import jax  # noqa: E402
import pytest  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

os.environ.setdefault("LLEVAL_CACHE", "off")  # no test writes to the cache of whoever runs it
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_num_cpu_devices", 4)

CHECKOUT = pathlib.Path(__file__).parents[1]
KEPT = os.environ.get("JAX_COMPILATION_CACHE_DIR", str(CHECKOUT / ".pytest_cache" / "jax"))
jax.config.update("jax_compilation_cache_dir", KEPT)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)

# Shapes and types in these modules' signatures are checked at every call of every test.
CHECKED = (
    "irt.irf",
    "irt.likelihood",
    "irt.em",
    "irt.uncertainty",
    "irt.sequential",
    "crossed.model",
    "crossed.scales",
    "crossed.draws",
    "crossed.joint",
    "crossed.messages",
    "linalg.sweep",
)
install_import_hook([f"lleval_jax.core.{module}" for module in CHECKED], "beartype.beartype")


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The folder of public data sets and reference numbers beside the checkout, or LLEVAL_SHARED."""
    place = pathlib.Path(os.environ.get("LLEVAL_SHARED", CHECKOUT.parent / "shared"))
    if not (place / "data").is_dir():
        pytest.skip(f"needs the shared data: no folder {place / 'data'}; name it with LLEVAL_SHARED")
    return place
