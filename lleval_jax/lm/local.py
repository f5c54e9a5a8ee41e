"""A language model in this process as a client: the same requests and replies as of a server, answered in batches."""

import functools
import hashlib
import itertools
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from flax import nnx

from lleval_jax.errors import BadInput, require
from lleval_jax.lm.client import Failed, Message, Reply, Request
from lleval_jax.lm.generate import Written, generate
from lleval_jax.values.progress import Tell, silent

if TYPE_CHECKING:
    from lleval_jax.lm.load import LanguageModel

ENDED = {"eos": "stop", "stop": "stop", "limit": "limit"}
PROBES = 64  # tokens of a vocabulary by which it is known, evenly spread


class LocalClient:
    """Answers by `lm.generate`. A reply depends on its request alone, not on those that are answered with it.

    A temperature or a seed of None is 1, or 0, as most servers have it. Log-probabilities, pictures and JSON schemas
    are refused: `lm.score` gives the first.

    Example:
        ```python
        client = lm.cached(lm.LocalClient(lm.load("smollm2")))
        list(lm.complete_all(client, [lm.Request.ask("What is the capital of France?", limit=16)]))
        ```
    """

    def __init__(self, model: "LanguageModel", *, batch: int = 32, tell: Tell = silent) -> None:
        """A client of a model that was loaded.

        Args:
            model: from `lm.load`.
            batch: requests that are answered together.
            tell: called with how far a batch is, as `lm.generate` calls it.

        Raises:
            BadInput: `batch` is not above 0.
        """
        require(batch >= 1, f"batch is {batch}; it must be at least 1")
        self.source, self.model, self.batch, self.at_once = model, model.name, batch, 1
        self._tell = tell
        self._lock = threading.Lock()  # a device does one thing at a time

    def __repr__(self) -> str:
        return f"LocalClient({self.model!r})"

    @functools.cached_property
    def server(self) -> str:
        """What answers, for the cache: the hash of the weights as they are now, and of how texts are read.

        It takes some seconds a gigabyte, when it is first asked for. A client of a model that learns further is to be
        made again.
        """
        found, tokens = hashlib.sha256(), self.source.tokens
        texts = [tokens.decode([number], special=True) for number in range(0, tokens.vocab, -(-tokens.vocab // PROBES))]
        facts = (self.source.config, tokens.begin, tokens.eos, sorted(tokens.templates.items()), texts)
        found.update(repr(facts).encode())
        for path, value in sorted(nnx.to_flat_state(nnx.state(self.source.decoder)), key=lambda each: str(each[0])):
            weights = np.asarray(value[...], order="C")
            found.update(f"{path} {weights.dtype} {weights.shape}".encode())
            found.update(weights.reshape(-1).view(np.uint8).data)
        return f"local {found.hexdigest()}"

    def complete(self, request: Request) -> Reply:
        """The model's reply to one request.

        Raises:
            BadInput: the request names another model, asks for what a local model does not give, or does not fit in
                the model's context.
        """
        self._require(request)
        with self._lock:
            return self._written([request])[0]

    def complete_batch(self, requests: Sequence[Request]) -> list[Reply | Failed]:
        """A reply to each request, or why there is none."""
        found: dict[Request, Reply | Failed] = {}
        by_settings = sorted(dict.fromkeys(requests), key=lambda each: repr(_settings(each)))
        for _, some in itertools.groupby(by_settings, key=lambda each: repr(_settings(each))):
            found |= self._together(list(some))
        return [found[request] for request in requests]

    def _together(self, requests: Sequence[Request]) -> dict[Request, Reply | Failed]:
        """Of requests with the same settings. If one cannot be answered, it is found by asking one by one."""
        try:
            for request in requests:
                self._require(request)
            with self._lock:
                return dict(zip(requests, self._written(requests), strict=True))
        except BadInput as error:
            if len(requests) == 1:
                return {requests[0]: Failed(requests[0], str(error))}
            return {request: found for each in requests for request, found in self._together([each]).items()}

    def _written(self, requests: Sequence[Request]) -> list[Reply]:
        prompts = [_prompt(request) for request in requests]
        seeds = [request.draw_seed or 0 for request in requests]
        found = generate(self.source, prompts, seed=seeds, tell=self._tell, **_settings(requests[0]))
        return [self._reply(request, written) for request, written in zip(requests, found, strict=True)]

    def _reply(self, request: Request, written: Written) -> Reply:
        prompt, tokens = _prompt(request), self.source.tokens
        asked = len(tokens.prompt(prompt) if isinstance(prompt, str) else tokens.chat_tokens(prompt))
        return Reply(written.text, ENDED[written.ended], self.model, max(1, asked), len(written.tokens))

    def _require(self, request: Request) -> None:
        """Refuse what this model cannot answer."""
        known = request.model in ("", self.model)
        require(known, f"the request is for the model {request.model!r}; this client is of {self.model!r}")
        pictures = any(message.images for message in request.messages)
        for what, asked in {"pictures": pictures, "JSON schema": request.schema != ""}.items():
            require(not asked, f"{self.model} takes no {what} here; ask a server that does")
        text = f"{self.model} gives no log-probabilities of its reply; ask lm.score for them"
        require(request.logprobs is None, text)


def _settings(request: Request) -> dict[str, Any]:
    """The keywords of `generate` that must be the same for all that are answered together."""
    temperature = 1.0 if request.temperature is None else request.temperature
    own = {"limit": request.limit, "top_p": request.top_p, "stop": request.stop}
    return own | {"temperature": temperature, "chat": request.prompt is None}


def _prompt(request: Request) -> str | list[dict[str, str]]:
    return [_turn(message) for message in request.messages] if request.prompt is None else request.prompt


def _turn(message: Message) -> dict[str, str]:
    """As chat templates read it; they know no developer."""
    return {"role": "system" if message.role == "developer" else message.role, "content": message.content}
