"""What a server does under load: many clients that each ask for a drawn adapter, and ask again once they are answered.

    merged      one adapter in the weights: what the model alone can do
    rotating    uncompressed adapters that come and go, as many on the device as take the memory of the compressed
    compressed  all adapters on the device, in shared bases

The experiment of "Compress then Serve" (arXiv:2407.00066, section 6.4), asked of the engine without HTTP between.
"""

import dataclasses
import statistics
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import jax
import numpy as np

from lleval_jax.errors import LlevalError, require
from lleval_jax.training.serve.asking import Event, Piece, Request
from lleval_jax.training.serve.engine import Engine
from lleval_jax.training.serve.resident import Residents
from lleval_jax.training.serve.rotating import Rotating
from lleval_jax.values.progress import Progress, Tell, silent
from lleval_jax.values.shared_adapters import Shared

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel

SERVERS = ("merged", "rotating", "compressed")


@dataclasses.dataclass(frozen=True)
class Load:
    """What is asked of each server.

    Attributes:
        requests: in a round.
        clients: requests that wait or are written at any time.
        prompt: tokens of a prompt, drawn.
        new: tokens to write; no text ends before.
        rounds: in each, all servers are asked by turns.
        rows: texts that an engine writes at once.
        seed: of adapters and prompts; all servers are asked the same.
    """

    requests: int = 256
    clients: int = 64
    prompt: int = 32
    new: int = 10
    rounds: int = 3
    rows: int = 32
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("requests", "clients", "prompt", "new", "rounds", "rows"):
            require(getattr(self, name) > 0, f"{name} is {getattr(self, name)}; it must be above 0")


class Measured(NamedTuple):
    """One server at one number of adapters.

    server    of `SERVERS`
    adapters  that requests ask for
    resident  of them on the device at a time, at most
    bytes     of the tables of adapters on the device
    speeds    (rounds,) tokens written a second
    latency   (all requests,) seconds from asking to the last token
    loads     how often an adapter was brought to the device, a request
    """

    server: str
    adapters: int
    resident: int
    bytes: int
    speeds: tuple[float, ...]
    latency: np.ndarray
    loads: float

    @property
    def speed(self) -> float:
        """Tokens a second, the median of the rounds."""
        return statistics.median(self.speeds)


def measure(
    model: "LanguageModel", shared: Shared, load: Load = Load(), *, tell: Tell = silent
) -> tuple[Measured, ...]:
    """All servers with these adapters, in the order of `SERVERS`.

    Args:
        model: the base.
        shared: compressed adapters; uncompressed ones are as large as these were before.
        load: what is asked.
        tell: called with how many requests are answered.

    Raises:
        BadInput: the adapters are another model's, or prompts and texts exceed the model's context.
    """
    endless = dataclasses.replace(model, tokens=dataclasses.replace(model.tokens, eos=()))
    residents = servers(model, shared)
    names = {server: None if server == "merged" else shared.names for server in SERVERS}
    size = {"rows": load.rows, "length": load.prompt + load.new, "queue": load.clients}
    engines: dict[str, Engine] = {}
    rounds: dict[str, list[tuple[float, np.ndarray]]] = {server: [] for server in SERVERS}
    done, most = 0, len(SERVERS) * load.rounds * load.requests
    try:
        for server, each in residents.items():
            tell(Progress(f"compiling {server}", done, most, unit="requests"))
            engines[server] = Engine(endless, each, **size)
            _warm(engines[server], asked(model, names[server], load, load.rounds))
        before = _loads(residents)
        for number in range(load.rounds):
            for server, engine in engines.items():
                tell(Progress(f"{len(shared.names):,} adapters, {server}", done, most, unit="requests"))
                rounds[server].append(_round(engine, asked(model, names[server], load, number), load.clients))
                done += load.requests
        loads = {
            server: (now - before[server]) / (load.rounds * load.requests) for server, now in _loads(residents).items()
        }
    finally:
        for engine in engines.values():
            engine.close()
    return tuple(_measured(server, shared, residents[server], rounds[server], loads[server]) for server in SERVERS)


def servers(model: "LanguageModel", shared: Shared) -> dict[str, Residents]:
    """The three, in the order of `SERVERS`."""
    count = len(shared.names)
    seats = min(count, max(1, int(shared.matched)))
    shapes = shared.shapes
    rank = max(1, round(float(shared.before.mean()) / sum(map(sum, shapes.values()))))
    rotating = Rotating.few(model.decoder, shapes, rank=rank, seats=seats, capacity=count + 1)
    same: dict[tuple[str, int], np.ndarray] = {}  # the factors that adapters of a cluster have in common, held once
    for name, cluster in zip(shared.names, shared.cluster.tolist(), strict=True):
        for (module, part), values in (sized := _sized(shared.factors(name), rank)).items():
            if part == "a":
                sized[module, part] = same.setdefault((module, cluster), values)
        rotating.add(name, sized)
    return {
        "merged": Residents.merged(model.decoder, shared, shared.names[0]),
        "rotating": rotating,
        "compressed": Residents.of(model.decoder, shared),
    }


def asked(model: "LanguageModel", names: Sequence[str] | None, load: Load, number: int) -> list[Request]:
    """The requests of a round: the same prompts for every server; without names, of the model as it is."""
    rng = np.random.default_rng((load.seed, number))
    prompts = rng.integers(0, model.config.vocab, (load.requests, load.prompt))
    which = rng.integers(0, 2**31, load.requests)
    chosen: list[str | None] = [None if names is None else names[int(k) % len(names)] for k in which]
    return [Request(tuple(p), name, limit=load.new) for p, name in zip(prompts.tolist(), chosen, strict=True)]


def _sized(factors: Mapping[str, tuple[np.ndarray, np.ndarray]], rank: int) -> dict[tuple[str, str], np.ndarray]:
    """Factors with so many columns as the adapters had: values are for nothing here, sizes are."""
    found = {}
    for module, (a, b) in factors.items():
        more = max(0, rank - len(a))
        found[module, "a"] = np.pad(a[:rank], ((0, more), (0, 0))) if more or len(a) > rank else a
        found[module, "b"] = np.pad(b[:, :rank], ((0, 0), (0, more)))
    return found


def _warm(engine: Engine, requests: Sequence[Request]) -> None:
    """All programs that a round needs are compiled: prompts are read one, two, or more at a time."""
    for count in (1, 2, 3, 4, 4, 4):
        engine.write(requests[: min(count, engine.queue)])
    _round(engine, requests[: 4 * engine.rows], engine.queue)


def _round(engine: Engine, requests: Sequence[Request], clients: int) -> tuple[float, np.ndarray]:
    """Tokens a second, and the seconds that each request took."""
    left, errors = threading.Semaphore(0), list[LlevalError]()
    began, ended, tokens = np.zeros(len(requests)), np.zeros(len(requests)), 0
    waiting = iter(range(len(requests)))
    lock = threading.Lock()

    def ask() -> None:
        with lock:
            number = next(waiting, None)
        if number is None:
            left.release()
            return
        began[number] = time.perf_counter()
        engine.submit(requests[number], lambda event: told(number, event))

    def told(number: int, event: Event) -> None:
        nonlocal tokens
        if isinstance(event, Piece):
            return
        ended[number] = time.perf_counter()
        if isinstance(event, LlevalError):
            errors.append(event)
            left.release()
            return
        tokens += len(event.tokens)
        ask()

    clients = min(clients, len(requests))
    for _ in range(clients):
        ask()
    for _ in range(clients):
        left.acquire()
    for error in errors:
        raise error
    return tokens / (ended.max() - began.min()), ended - began


def _loads(residents: Mapping[str, Residents]) -> dict[str, int]:
    return {server: each.loaded if isinstance(each, Rotating) else 0 for server, each in residents.items()}


def _measured(
    server: str,
    shared: Shared,
    residents: Residents,
    rounds: Sequence[tuple[float, np.ndarray]],
    loads: float,
) -> Measured:
    resident = {"merged": 1, "rotating": getattr(residents, "seats", 0), "compressed": len(shared.names)}[server]
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(residents.tables))
    latency = np.concatenate([each for _, each in rounds])
    return Measured(server, len(shared.names), resident, size, tuple(speed for speed, _ in rounds), latency, loads)
