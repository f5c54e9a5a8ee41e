"""The state of one long fit, kept every few steps, so that it goes on where it was stopped; on other hosts too.

The state of such a fit is small, and every process has all of it: a file written by the first process is enough. Orbax,
which is made for arrays that no process has whole, would add a dependency and no more.
"""

import contextlib
import hashlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from safetensors import numpy as safetensors

from lleval_jax.errors import Stopped, require
from lleval_jax.scale import hosts, same_run
from lleval_jax.scale.store import Store

DIGEST = 32  # bytes of a hash, before the state
NAME = "{}-{:08}.state"  # of what, and after how many steps
LEFT = 2  # states that are left: one that is damaged is no loss of all


class Kept:
    """States of one fit at a store.

    Args:
        store: where.
        facts: what makes it this fit, as JSON has it.
        every: steps between two states.
        part: of the fit, where it has several.

    Raises:
        BadInput: another fit's states are there, or processes have different facts; what differs is named.
    """

    def __init__(self, store: Store, facts: dict[str, Any], every: int, part: str = "step") -> None:
        self.store, self.every, self.part = store, every, part
        self._asked: list[int] = []
        with hosts.first_does():
            if hosts.is_first():
                same_run.begin(store, facts)

    def last(self, like: Any = None) -> Any:
        """The latest state that is whole; None where there is none. The same in every process.

        Args:
            like: a tree of its shape; None: it was kept as a dict of arrays, and is one again.

        Raises:
            BadInput: it is a state of something else.
        """
        content = hosts.of_first(self._whole() if hosts.is_first() else b"")
        if not content:
            return None
        found, (leaves, shape) = safetensors.load(content), jax.tree.flatten(like)
        if like is None:
            return found
        same = len(found) == len(leaves) and all(found[f"{n}"].shape == leaf.shape for n, leaf in enumerate(leaves))
        require(same, f"{self.store} holds the state of another fit; name another folder")
        return shape.unflatten([found[f"{n}"].astype(leaf.dtype) for n, leaf in enumerate(leaves)])

    def keep(self, steps: int, state: Any) -> None:
        """Write a state, and take away those before the last."""
        if hosts.is_first():
            leaves = (
                state if isinstance(state, dict) else {f"{n}": leaf for n, leaf in enumerate(jax.tree.leaves(state))}
            )
            content = safetensors.save({name: np.asarray(leaf) for name, leaf in leaves.items()})
            self.store.put(NAME.format(self.part, steps), hashlib.sha256(content).digest() + content)
            for name in self._names()[LEFT:]:
                self.store.remove(name)
        self._leave_if_asked(steps)

    @contextlib.contextmanager
    def until_asked_to_leave(self) -> Iterator[None]:
        """A block in which SIGTERM, which schedulers send before they take a machine away, waits for the next state."""
        if threading.current_thread() is not threading.main_thread():  # where no signal can be caught
            yield
            return
        before = signal.signal(signal.SIGTERM, lambda number, _: self._asked.append(number))
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def _leave_if_asked(self, steps: int) -> None:
        if any(asked != b"\0" for asked in hosts.of_all(bytes([bool(self._asked)]))):
            raise Stopped(
                f"the fit was asked to leave after {steps} steps; its state is in {self.store}. Call it again to go on."
            )

    def _names(self) -> list[str]:
        own = [name for name in self.store.names() if name.startswith(f"{self.part}-") and name.endswith(".state")]
        return sorted(own, reverse=True)

    def _whole(self) -> bytes:
        for name in self._names():
            content = self.store.get(name) or b""
            if hashlib.sha256(content[DIGEST:]).digest() == content[:DIGEST]:
                return content[DIGEST:]
        return b""


def require_alike(facts: bytes) -> None:
    """That all processes were called with the same: a hash of each is compared.

    Raises:
        BadInput: they were not; those that differ from the first are named.
    """
    all_of = hosts.of_all(hashlib.sha256(facts).digest())
    other = [f"{number}" for number, each in enumerate(all_of) if each != all_of[0]]
    require(not other, f"processes {', '.join(other)} have other answers or settings than process 0; give all the same")
