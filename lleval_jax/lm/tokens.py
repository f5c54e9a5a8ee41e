"""Tokens of a language model: text to numbers and back, what frames a text, and chats in the model's own form."""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from lleval_jax.errors import BadInput, require
from lleval_jax.lm import chats, token_files, token_gguf
from lleval_jax.lm.chats import Message
from lleval_jax.lm.codecs import Codec
from lleval_jax.lm.stream import Stream


class _HasVocab(Protocol):
    @property
    def vocab(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokenizer of one model.

    Attributes:
        codec: the vocabulary.
        name: what it was read from, for messages.
        bos: the number that begins a text, None if the vocabulary has none.
        eos: the numbers that end what a model writes.
        pad: what fills rows of unequal length; masks leave it out, so its value does not matter.
        begin: what the model expects before every text, as BOS or [CLS]; often nothing.
        end: what it expects after a text, as [SEP].
        templates: chat templates by name; the usual one is "default".
        marks: control tokens by the name that templates know them under: "bos_token" -> "<s>".

    Example:
        >>> tokens = Tokens.read("models/tiny-lm")
        >>> tokens.decode(tokens.encode("How many apples are left?"))
        'How many apples are left?'
    """

    codec: Codec
    name: str
    bos: int | None
    eos: tuple[int, ...]
    pad: int
    begin: tuple[int, ...] = ()
    end: tuple[int, ...] = ()
    templates: Mapping[str, str] = field(default_factory=dict)
    marks: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: str | os.PathLike[str]) -> "Tokens":
        """From a folder as Hugging Face publishes it: `tokenizer.json`, or `tokenizer.model`, or older files.

        Raises:
            BadInput: there is no tokenizer in the folder, or it cannot be read. No code of the folder is ever run.
        """
        return cls(**token_files.fields(folder))

    @classmethod
    def from_gguf(cls, facts: Mapping[str, Any], name: str = "the GGUF file") -> "Tokens":
        """From the metadata of a GGUF file: its keys `tokenizer.ggml.*` and `tokenizer.chat_template`.

        Raises:
            BadInput: the kind of tokenizer, or what splits its words, is not known (those known are listed), or a key
                is missing or does not fit.
        """
        return cls(**token_gguf.fields(facts, name))

    @property
    def vocab(self) -> int:
        """One more than the largest number."""
        return self.codec.size

    def encode(self, text: str, *, special: bool = False, framed: bool = False) -> list[int]:
        """The numbers of a text.

        Args:
            text: any text.
            special: read control tokens that the text writes out, as `<|im_end|>`, as control tokens. Without it they
                are text like any other: what a user types cannot end a turn.
            framed: put `begin` before it and `end` after it, as transformers' tokenizers do.
        """
        return self.encode_all([text], special=special, framed=framed)[0]

    def encode_all(self, texts: Sequence[str], *, special: bool = False, framed: bool = False) -> list[list[int]]:
        """`encode` of each text, in one call: several times faster than one by one."""
        for i, text in enumerate(texts):
            require(isinstance(text, str), f"text {i} is a {type(text).__name__}; tokens are made from a str")
        try:
            found = self.codec.encode(texts, special)
        except (UnicodeEncodeError, TypeError) as error:
            raise BadInput(_half_character(texts) or str(error)) from error
        return [[*self.begin, *each, *self.end] for each in found] if framed else found

    def prompt(self, text: str, *, special: bool = False) -> list[int]:
        """The numbers of a text that the model goes on from: `begin`, then the text."""
        return [*self.begin, *self.encode(text, special=special)]

    def pair(self, first: str, second: str) -> tuple[list[int], list[int]]:
        """Two texts framed as an encoder reads them: numbers, and 0 or 1 for the text that each belongs to."""
        return self.codec.pair(first, second)

    def decode(self, tokens: Iterable[int], *, special: bool = False) -> str:
        """The text of these numbers. Control tokens are left out unless `special`; bytes that are no character become
        U+FFFD; numbers that the vocabulary lacks (models often have spare ones) have no text.
        """
        return self.codec.decode(tokens, special)

    def stream(self, prompt: Sequence[int] = (), stop: Sequence[str] = ()) -> Stream:
        """Decodes tokens as they come; see `Stream`."""
        return Stream(self, prompt, stop)

    def chat(
        self, messages: str | Sequence[Message], *, generate: bool = True, template: str = "default", **values: Any
    ) -> str:
        """The text of a chat, in the form that the model was trained on.

        Args:
            messages: `{"role": "system" | "user" | "assistant", "content": text}` in order, or the user's text alone.
            generate: end with the opening of the assistant's turn, for the model to go on from.
            template: which one, where a model has several.
            values: what else the template reads, as `tools` or `enable_thinking`.

        Raises:
            BadInput: the model has no chat template, or it refuses these messages.
        """
        return self._render(chats.checked(messages), generate, template, values)

    def chat_tokens(
        self, messages: str | Sequence[Message], *, generate: bool = True, template: str = "default", **values: Any
    ) -> list[int]:
        """The numbers of a chat. A control token that a message writes out is text there: no user can end a turn."""
        known = chats.checked(messages)
        if not any(self._control.search(each["content"]) for each in known):
            return self.encode(self._render(known, generate, template, values), special=True)
        text = self._render(chats.quoted(known, self._control), generate, template, values)
        return [each for part, own in chats.parts(text) for each in self.encode(part, special=own)]

    def _render(self, messages: list[Message], generate: bool, template: str, values: Mapping[str, Any]) -> str:
        hint = "use a model tuned for chats, or give it plain text"
        require(bool(self.templates), f"{self.name} has no chat template; {hint}")
        there = ", ".join(self.templates)
        require(template in self.templates, f"{self.name} has no chat template {template!r}; there are {there}")
        read = {"tools": None, "documents": None, **self.marks, "add_generation_prompt": generate, **values}
        return chats.render(self.templates[template], messages, read, self.name)

    @cached_property
    def _control(self) -> re.Pattern[str]:
        longest_first = sorted(self.codec.controls, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def require_fits(self, config: _HasVocab) -> None:
        """Refuse a tokenizer that is not this model's: it has more tokens than the model has rows, or far fewer.

        Models round their vocabulary up (Qwen 2.5 has 271 spare rows, DeepSeek 2,385): up to a sixteenth and 1,024
        rows more are fine.

        Raises:
            BadInput: with both numbers.
        """
        rows, spare = config.vocab, config.vocab - self.vocab
        fits = 0 <= spare <= rows // 16 + 1024
        require(
            fits,
            f"the tokenizer of {self.name} has {self.vocab:,} tokens and the model's vocabulary {rows:,} rows; "
            "it is the tokenizer of another model",
        )


def _half_character(texts: Sequence[str]) -> str:
    """Which text cannot be written in UTF-8."""
    halves = ((i, half.group()) for i, text in enumerate(texts) if (half := re.search("[\ud800-\udfff]", text)))
    return next((f"text {i} holds half a character (a lone surrogate, {half!r})" for i, half in halves), "")
