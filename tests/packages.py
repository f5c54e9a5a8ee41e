"""A tiny installed package that brings something by entry points, in a folder that is put on `sys.path`."""

import pathlib
import textwrap

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

METHOD = '''
    import numpy as np

    from lleval_jax.estimators import tiny


    def mean(here, bank, targets, level, seed):
        """The mean of the answers, whatever the target."""
        value = np.repeat((here.scores.sum(1) / here.seen.sum(1))[:, None], len(targets), axis=1)
        sd = np.full(value.shape, 0.01)
        return tiny.Spread(value, sd, value - 2 * sd, value + 2 * sd)


    METHOD = tiny.Method(mean, ("@book{mine2026, title = {Mine}}",), needs=(tiny.MODELS,))
'''


def install(folder: pathlib.Path, name: str, code: str, entry: str, *, version: str = "1.0") -> pathlib.Path:
    """Lay a package of one module into `folder`; `entry` is the text of its `entry_points.txt`."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(textwrap.dedent(code))
    about = folder / f"{name}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (about / "entry_points.txt").write_text(entry)
    return folder
