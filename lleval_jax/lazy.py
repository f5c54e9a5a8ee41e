"""Public names that are loaded when first used, as a package's `__init__.pyi` lists them."""

import ast
import importlib
import pathlib
import sys
from types import ModuleType
from typing import Any

from lleval_jax.errors import BadInput

Home = dict[str, tuple[str, str]]  # public name -> (the module that holds it, its name there)


def listed(init: str) -> Home:
    """The names that the `.pyi` next to a package's `__init__.py` lists."""
    lines = ast.parse(pathlib.Path(init).with_suffix(".pyi").read_text(encoding="utf-8")).body
    imports = [line for line in lines if isinstance(line, ast.ImportFrom)]
    return {str(each.asname): (str(line.module), each.name) for line in imports for each in line.names}


def loaded(home: Home, name: str) -> Any:
    """What a public name stands for; its module is imported now."""
    module, original = home[name]
    found = vars(importlib.import_module(module)).get(original)
    return importlib.import_module(f"{module}.{original}") if found is None else found


def face(package: str, init: str, extra: str) -> None:
    """Give a package whose modules need an extra the public names that its `__init__.pyi` lists.

    A public name stays what it is when the module of the same name is imported: `lm.load` lives in `lm/load.py`.

    Args:
        package: its `__name__`.
        init: its `__file__`.
        extra: what to install where a package is missing.
    """
    module, home = sys.modules[package], listed(init)
    short = package.rpartition(".")[2]

    class Package(ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name not in home:
                raise AttributeError(f"module {package!r} has no attribute {name!r}")
            try:
                vars(self)[name] = loaded(home, name)
            except ModuleNotFoundError as error:
                missing = (error.name or "").partition(".")[0]
                if missing == "lleval_jax":
                    raise
                text = f'{short}.{name} needs the package {missing}. Install it: pip install "lleval-jax[{extra}]".'
                raise BadInput(text) from error
            return vars(self)[name]

        def __setattr__(self, name: str, value: Any) -> None:
            if name not in home or not isinstance(value, ModuleType):
                super().__setattr__(name, value)

        def __dir__(self) -> list[str]:
            return sorted({*vars(self), *home})

    module.__all__ = list(home)  # type: ignore[attr-defined]
    module.__class__ = Package
