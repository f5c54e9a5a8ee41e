"""A tiny installed package that brings something by entry points, in a folder that is put on `sys.path`."""

import pathlib

READER = """
    import pathlib

    from lleval_jax.data import Format
    from lleval_jax.data.answers import from_columns
    from lleval_jax.errors import require


    def recognises(head, path):
        return head.startswith(b"MINE ")


    def read(path, options):
        words = path.read_text().split()[1:]
        require(bool(words), f"{path.name} holds no answers")
        return from_columns(path.name, row=[path.stem] * len(words), item=words, score=[SCORE] * len(words))


    FORMAT = Format("mine (.txt)", recognises, read, lambda path: (), lambda path: path.suffix == ".log", frozenset())
"""


def install(folder: pathlib.Path, name: str, code: str, entry: str, *, version: str = "1.0") -> pathlib.Path:
    """Lay a package of one module into `folder`; `entry` is the text of its `entry_points.txt`."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(code)
    about = folder / f"{name}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(entry)
    return folder
