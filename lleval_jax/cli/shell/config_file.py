"""--config: options of a verb from a TOML file; what is typed wins.

bank = "my-bench"          # a key is a long option without its dashes, or the letter of a short one
level = 0.9
groups = true              # a switch
compare = ["a", "b"]       # several values, or an option that may be given again

Paths are as if they were typed: from where the verb is called.
"""

import pathlib
from typing import Any

import typer

from lleval_jax.cli.shell import typed
from lleval_jax.errors import BadInput, nearest, require


def load(ctx: typer.Context, path: pathlib.Path | None) -> None:
    """The callback of --config: defaults of the options of this verb."""
    if path is None:
        return
    known = {key: param for param in ctx.command.params for key in _keys(param)}
    defaults: dict[str, Any] = {}
    for key, value in _parsed(path).items():
        param = known.get(key.replace("_", "-"))
        message = f"--config {path}: '{ctx.command_path}' has no option {key!r}{nearest(key, known)}"
        require(param is not None, message)
        defaults[param.name] = _value(param, value, f"--config {path}: {key}")  # type: ignore[union-attr]
    ctx.default_map = defaults
    typed.remember_file(path)


def _keys(param: Any) -> list[str]:
    """How an option is named in a file: as it is typed, without dashes."""
    if param.param_type_name != "option" or param.name in ("config", "help"):
        return []
    return [word.lstrip("-") for word in param.opts]


def _parsed(path: pathlib.Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"--config {path} is not TOML: {error}") from error


def _value(param: Any, value: Any, where: str) -> Any:
    """As if it had been typed."""
    if param.is_flag:
        require(isinstance(value, bool), f"{where} is a switch; it is true or false, not {value!r}")
        return value
    several = param.nargs != 1 or param.multiple
    values = value if isinstance(value, list) else [value]
    plain = all(isinstance(one, str | int | float) and not isinstance(one, bool) for one in values)
    require(plain and (several or not isinstance(value, list)), f"{where} is {value!r}; write one value, in quotes")
    return [str(one) for one in values] if several else str(value)
