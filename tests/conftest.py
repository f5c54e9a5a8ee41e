"""How all tests run: x64 on, no silent promotion of types or ranks, shapes checked, four CPU devices.

Most of the tests' time is XLA compiling. So programs are compiled without its expensive passes (the whole unmarked set
takes a fifth less time), and kept in JAX_COMPILATION_CACHE_DIR, else in `.pytest_cache`, for the other worker and the
next run.
"""

import os
import pathlib
import shutil
from collections.abc import Callable

QUICK = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
os.environ.setdefault("XLA_FLAGS", QUICK)  # before JAX starts

import jax  # noqa: E402
import pytest  # noqa: E402
from filelock import FileLock  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402
from memory import room  # noqa: E402, F401  (a fixture)

os.environ.setdefault("LLEVAL_CACHE", "off")  # no test writes to the cache of whoever runs it
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_num_cpu_devices", 4)

collect_ignore = ["nn"]  # language models have a run of their own: pytest tests/nn

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


pytest_plugins = ["turns"]

LONGEST = ("test_models.py",)  # tests of a minute


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest come first, so that no worker ends with one of them while the other has nothing left to do."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="session")
def shared() -> pathlib.Path:
    """The folder of public data sets and reference numbers beside the checkout, or LLEVAL_SHARED."""
    place = pathlib.Path(os.environ.get("LLEVAL_SHARED", CHECKOUT.parent / "shared"))
    if not (place / "data").is_dir():
        pytest.skip(f"needs the shared data: no folder {place / 'data'}; name it with LLEVAL_SHARED")
    return place


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[pathlib.Path], object]], pathlib.Path]:
    """(name, make) -> a folder that `make(folder)` fills: once a test run, by the worker that asks first."""
    root = tmp_path_factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root

    def made(name: str, make: Callable[[pathlib.Path], object]) -> pathlib.Path:
        folder, whole = root / name, root / f"{name}.whole"
        with FileLock(root / f"{name}.lock"):
            if not whole.exists():
                shutil.rmtree(folder, ignore_errors=True)  # what is left of one that failed
                folder.mkdir()
                make(folder)
                whole.touch()
        return folder

    return made


@pytest.fixture(scope="session")
def fitted(once):
    """(name, make) -> the fit or bank that `make()` gives: made once a test run, and loaded by all that ask for it."""
    import lleval_jax as ll

    return lambda name, make: ll.load(once(name, lambda folder: ll.save(make(), folder / "kept")) / "kept")
