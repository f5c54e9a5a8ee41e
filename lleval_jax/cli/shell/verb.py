"""The skeleton of every verb: outputs are checked before the work, progress is shown, results are stamped and written.

def sloth(..., plot: options.Plot = None, out: Out = None, json: options.Json = None) -> None:
    outputs = Outputs(json=json, plot=plot, folder=out, kind="fit")
    with verb("reading the leaderboard", outputs, strict=strict, seed=seed) as run:
        law = run.stamped(ll.sloth.fit(board, skills=skills, tell=run.tell))
        run.draw(lambda path: ll.report.sloth_plots.curves(law, path))
        run.keep(law)
        run.show([ll.report.sloth_tables.law(law)], law.to_dict())

A verb is then short: it reads, calls the library, and shows what was found.
"""

import contextlib
import dataclasses
import pathlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import typer

import lleval_jax as ll
from lleval_jax.cli.shell import inputs as given
from lleval_jax.cli.shell import options, output, typed
from lleval_jax.errors import RunFailed, require
from lleval_jax.words import visible

if TYPE_CHECKING:
    from lleval_jax.cli.shell.reporter import Reporter
    from lleval_jax.report.text import Table
    from lleval_jax.values.progress import Progress

Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True)
class Outputs:
    """Where a verb was told to write; None: nowhere.

    json    --json: a file, or - for stdout
    plot    --plot: a picture
    plots   --plot of several pictures
    folder  --out, of a verb that keeps a value of some `kind`: "bank", "fit", "estimate"
    file    --out, of a verb that writes a file
    """

    json: pathlib.Path | None = None
    plot: pathlib.Path | None = None
    plots: tuple[pathlib.Path, ...] = ()
    folder: pathlib.Path | None = None
    kind: str = ""
    file: pathlib.Path | None = None

    def check(self) -> None:
        """`BadInput` that names the option, before the work, for a place that cannot be written."""
        typed.file_for(self.json)
        typed.file_for(self.file, "--out")
        for plot in self.pictures:
            typed.picture_for(plot)
        if self.folder is not None:
            typed.place_for(self.folder, self.kind)
        places = {"--json": self.json, "--plot": self.plot, "--out": self.folder or self.file}
        named: dict[pathlib.Path, str] = {}
        for option, path in places.items():
            if path is not None and path != output.STDOUT:
                other = named.setdefault(path.absolute(), option)
                require(other == option, f"{other} and {option} name the same place, {path}")

    @property
    def pictures(self) -> tuple[pathlib.Path, ...]:
        """All pictures."""
        return self.plots if self.plot is None else (self.plot, *self.plots)


class Run:
    """A verb at work: says how far it is, stamps what it finds, and writes it where it was told."""

    def __init__(self, outputs: Outputs, reporter: "Reporter", over: Callable[[], None], strict: bool, seed: int):
        self.outputs, self.strict, self.seed = outputs, strict, seed
        self._reporter, self._over, self.failed = reporter, over, False

    def say(self, word: str) -> None:
        """Another part of the work begins."""
        self._reporter.say(word)

    def tell(self, progress: "Progress") -> None:
        """How far this part is: the `tell=` of a call of the library."""
        self._reporter.tell(progress)

    def answers(
        self, inputs: Sequence[str], reading: options.Reading, *, strict: bool | None = None
    ) -> "ll.Responses | ll.SparseResponses":
        """Everything that INPUT words name, as one matrix."""
        self.say("reading answers")
        return given.answers(inputs, reading, strict=self.strict if strict is None else strict, tell=self.tell)

    def stamped(self, found: Result, seed: int | None = None) -> Result:
        """A result whose source says which command made it."""
        source = typed.stamped(found.source, self.seed if seed is None else seed)  # type: ignore[attr-defined]
        return dataclasses.replace(found, source=source)  # type: ignore[type-var]

    def draw(self, draw: Callable[[str], object], to: pathlib.Path | None = None) -> None:
        """Draw to one of `Outputs.plots`, else to the place of --plot, if there is one; whole or not at all."""
        to = to or self.outputs.plot
        if to is not None:
            self.say("drawing")
            with output.picture(to) as path:
                draw(path)

    def keep(self, value: Any) -> None:
        """Save to the folder of --out, if there is one."""
        if self.outputs.folder is not None:
            self.say("writing")
            ll.save(value, self.outputs.folder)

    def show(self, tables: "Sequence[Table]", content: dict[str, Any]) -> None:
        """The JSON where it was asked for; the tables on stdout, unless the JSON goes there. Progress ends here."""
        self._over()
        output.write(tables, content, self.outputs.json)

    def list(self, names: Sequence[str]) -> None:
        """Names on stdout, one a line, for another program; as they are shown where a person reads them."""
        self._over()
        output.lines([visible(name) for name in names] if sys.stdout.isatty() else names, output.STDOUT)

    def fails(self, why: object) -> None:
        """With --strict the exit status is 1 where there is a reason; what was found is shown and written first."""
        self.failed = self.failed or (self.strict and bool(why))


@contextlib.contextmanager
def verb(word: str, outputs: Outputs, *, strict: bool = False, seed: int = 0, computes: bool = True) -> Iterator[Run]:
    """Check the outputs, then show progress to the end of the block.

    Args:
        word: what is going on first, such as "reading answers".
        outputs: where to write.
        strict: warnings are errors: about the data, of a fit not converged, and what a check finds.
        seed: of what is drawn; kept in the source of results.
        computes: whether JAX is needed; what is wrong with its settings is then one line.
    """
    outputs.check()
    from lleval_jax.cli.shell.reporter import reporting  # not needed for --help

    with contextlib.ExitStack() as stack:
        run = Run(outputs, stack.enter_context(reporting(word)), stack.close, strict, seed)
        if computes:
            _start()
        yield run
    if run.failed:
        raise typer.Exit(1)


def _start() -> None:
    """JAX, or what is wrong with its settings."""
    try:
        import jax

        jax.devices()
    except Exception as error:  # its settings are checked by many hands, each with an error of its own
        raise RunFailed(
            f"JAX does not start: {str(error).splitlines()[0]}.", shell="Look at the variables JAX_* and XLA_FLAGS."
        ) from error
