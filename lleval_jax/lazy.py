"""Public names that are loaded when first used, as a package's `__init__.pyi` lists them."""

import ast
import importlib
import pathlib
from typing import Any

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
