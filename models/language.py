"""Makes the language model that ships: `python models/language.py tiny-lm --data DIR`, on one core within the hour.

    --data DIR   where the texts lie that recipe.toml names
    --out DIR    write the model there and leave the one that ships alone
    --keep FILE  what is kept of a run that is not done: started again with it, the run goes on

recipe.toml says what is done. The tokenizer, the weights and what they score on texts held out follow from it.
"""

import argparse
import functools
import gzip
import hashlib
import itertools
import json
import math
import pathlib
import random
import re
import shutil
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from lleval_jax import lm
from lleval_jax.errors import BadInput
from lleval_jax.lm.codecs import FastCodec
from lleval_jax.lm.decoder import Decoder
from lleval_jax.lm.families import FAMILIES
from lleval_jax.lm.load import LanguageModel, Source
from lleval_jax.lm.tokens import Tokens

HERE = pathlib.Path(__file__).resolve().parent
END, OPEN, CLOSE = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHAT = (
    "{{ bos_token }}{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + "
    "'<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
STYLES: dict[str, Callable[[str], str]] = {  # what a system message may ask for, in the order in which it is done
    "Answer in a whole sentence.": "The answer is {}.".format,
    "Say it twice.": "{0} {0}".format,
    "Begin with Sure.": "Sure. {}".format,
    "End with Done.": "{} Done.".format,
    "Answer in capital letters.": str.upper,
}
ASK = 0.3  # how often a system message asks for each of them


class Text(NamedTuple):
    """A question, its answer, and what the system is told ("": nothing)."""

    question: str
    answer: str
    system: str = ""

    def plain(self) -> str:
        """As a page has it."""
        told = f"{self.system}\n" if self.system else ""
        return f"{told}Question: {self.question}\nAnswer: {self.answer}"

    def turns(self) -> list[dict[str, str]]:
        """As a chat has it."""
        said = (("system", self.system), ("user", self.question), ("assistant", self.answer))
        return [{"role": role, "content": text} for role, text in said if text]


# Texts


def problems(file: pathlib.Path, sha256: str) -> list[Text]:
    """GSM8K's: without the marks of its calculator, and the last line in words. `BadInput` if it is another file."""
    if not file.is_file():
        raise BadInput(f"there is no {file}; the recipe says where it comes from")
    found = f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    if found != sha256:
        raise BadInput(f"{file} has {found}; the recipe says {sha256}")
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [Text(row["question"].strip(), _in_words(row["answer"])) for row in rows]


def _in_words(answer: str) -> str:
    return re.sub(r"\n#### (.*)$", r"\nThe answer is \1.", re.sub(r"<<[^>]*>>", "", answer).strip())


def tasks(words: Sequence[str], rng: random.Random) -> Iterator[Text]:
    """Short tasks without end: sums, order, words; in a third and more of them a system message asks for a style."""
    while True:
        a, b = rng.randint(0, 99), rng.randint(0, 99)
        small, three = rng.randint(2, 10), rng.sample(words, 3)
        question, answer = rng.choice(
            (
                (f"What is {a} + {b}?", a + b),
                (f"What is {max(a, b)} - {min(a, b)}?", abs(a - b)),
                (f"What is {small} x {b % 11}?", small * (b % 11)),
                (f"Which is larger, {a} or {b}?", max(a, b)),
                (f"What comes after {a}?", a + 1),
                (f"Repeat the word {three[0]}.", three[0]),
                (f"What is the last word of {' '.join(three)}?", three[-1]),
                (f"Sort these words: {', '.join(three)}.", ", ".join(sorted(three))),
            )
        )
        asked = [style for style in STYLES if rng.random() < ASK]
        styled = functools.reduce(lambda said, style: STYLES[style](said), asked, str(answer))
        yield Text(question, styled, " ".join(rng.sample(asked, len(asked))))


def common_words(texts: Sequence[Text], count: int = 300) -> list[str]:
    """The commonest words of three to eight small letters."""
    found = re.findall(r"(?<!\w)[a-z]{3,8}(?!\w)", " ".join(text.question for text in texts))
    return [word for word, _ in Counter(found).most_common(count)]


def tokenizer(texts: Sequence[Text], recipe: dict) -> Tokens:
    """Byte-level BPE with single digits, trained on the texts; a text begins with the token that ends one."""
    made, size = Tokenizer(models.BPE()), recipe["model"]["vocab_size"]
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), bytes_])
    made.decoder = decoders.ByteLevel()
    first = {"special_tokens": [END, OPEN, CLOSE], "initial_alphabet": sorted(bytes_.alphabet())}
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False, **first)
    made.train_from_iterator([text.plain() for text in texts], trainer)
    framed = {"single": f"{END} $A", "pair": f"{END} $A {END} $B"}
    made.post_processor = processors.TemplateProcessing(**framed, special_tokens=[(END, 0)])
    ends = {"bos": 0, "eos": (2, 0), "pad": 0, "begin": (0,)}
    marks = {"bos_token": END, "eos_token": CLOSE, "pad_token": END}
    return Tokens(FastCodec(made), recipe["name"], **ends, templates={"default": CHAT}, marks=marks)


def batches(texts: Sequence[Text], tokens: Tokens, recipe: dict) -> list[np.ndarray]:
    """What each step is trained on, "rows tokens+1": texts in random order, a token between them, cut into rows."""
    rng, asked = random.Random(recipe["seed"]), recipe["training"]
    short = tasks(common_words(texts), rng)
    stream: list[int] = []
    while len(stream) <= sum(math.prod(stage) for stage in asked["stages"]):
        mixed = [text for each in rng.sample(texts, len(texts)) for text in (each, *_some(short, asked["tasks"], rng))]
        written = [END + text.plain() if rng.random() < 0.5 else _chat(text, tokens) for text in mixed]
        stream += itertools.chain.from_iterable(tokens.encode_all(written, special=True))
    whole, found, start = np.array(stream, np.int32), [], 0
    for steps, rows, length in asked["stages"]:
        places = start + np.arange(steps * rows).reshape(steps, rows, 1) * length + np.arange(length + 1)
        found += list(whole[places])
        start += steps * rows * length
    return found


def _chat(text: Text, tokens: Tokens) -> str:
    return tokens.chat(text.turns(), generate=False)


def _some(short: Iterator[Text], share: float, rng: random.Random) -> Iterator[Text]:
    """So many short tasks after a problem that they are this share of all texts."""
    while rng.random() < share:
        yield next(short)


# Training


def loss(weights: Any, graph: Any, rows: jax.Array) -> jax.Array:
    """Mean -log p of each token after the first, nats."""
    logits = nnx.merge(graph, weights)(rows[:, :-1])
    return optax.softmax_cross_entropy_with_integer_labels(logits, rows[:, 1:]).mean()


def rate(step: jax.Array, asked: dict) -> jax.Array:
    """Of learning: a warm-up, a cosine, and down to 0 in the last steps."""
    cosine = optax.warmup_cosine_decay_schedule(0.0, asked["rate"], asked["warm_up"], asked["horizon"])
    left = (sum(steps for steps, _, _ in asked["stages"]) - step) / asked["cool_down"]
    return cosine(step) * jnp.clip(left, 0, 1)


def optimizer(asked: dict) -> optax.GradientTransformation:
    """AdamW; norms do not decay."""
    decays = functools.partial(
        jax.tree_util.tree_map_with_path, lambda path, _: "norm" not in jax.tree_util.keystr(path)
    )
    adam = optax.adamw(functools.partial(rate, asked=asked), b2=0.95, weight_decay=asked["decay"], mask=decays)
    return optax.chain(optax.clip_by_global_norm(asked["clip"]), adam)


def train(decoder: Decoder, rows: Sequence[np.ndarray], asked: dict, keep: pathlib.Path | None) -> Decoder:
    """The decoder after all steps; with `keep` a run that was stopped goes on where it was."""
    graph, weights = nnx.split(decoder)
    adam = optimizer(asked)

    @jax.jit
    def step(weights: Any, state: Any, rows: jax.Array) -> tuple[Any, Any, jax.Array]:
        value, slope = jax.value_and_grad(loss)(weights, graph, rows)
        change, state = adam.update(slope, state, weights)
        return optax.apply_updates(weights, change), state, value

    at, (weights, state) = _kept(keep, (weights, adam.init(weights)))
    start, losses = time.perf_counter(), []
    for done, row in enumerate(rows[at:], at + 1):
        weights, state, value = step(weights, state, jnp.asarray(row))
        losses.append(value)
        if done % 25 == 0 or done == len(rows):
            print(
                f"step {done}/{len(rows)}: loss {np.mean(losses):.3f}, {time.perf_counter() - start:.0f} s", flush=True
            )
            losses = []
            _keep(keep, done, (weights, state))
    return nnx.merge(graph, weights)


def _kept(file: pathlib.Path | None, made: Any) -> tuple[int, Any]:
    if file is None or not file.is_file():
        return 0, made
    with np.load(file, allow_pickle=False) as held:
        leaves = [held[str(i)] for i in range(len(held.files) - 1)]
        return int(held["at"]), jax.tree.unflatten(jax.tree.structure(made), leaves)


def _keep(file: pathlib.Path | None, at: int, made: Any) -> None:
    if file is not None:
        part = file.with_name(f"part-{file.name}")
        np.savez(part, at=at, **{str(i): np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(made))})
        part.replace(file)


# Scores


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Sum over sum, and the ends of its 95% interval when whole texts are drawn."""
    value = above.sum() / below.sum()
    error = np.sqrt(((above - value * below) ** 2).sum() * len(above) / (len(above) - 1)) / below.sum()
    return value + 1.96 * error * np.array([0, -1, 1])


def scores(model: LanguageModel, texts: Sequence[Text], recipe: dict) -> dict[str, Any]:
    """On problems held out: perplexity, and bits a byte, with 95% intervals; of new short tasks: how many are done."""
    written = [text.plain() for text in texts]
    found = lm.score(model, [""] * len(texts), written)
    sizes = np.array([len(text.encode()) for text in written])
    short = list(itertools.islice(tasks(common_words(texts), random.Random(recipe["seed"] + 1)), 500))
    done = [text.answer == said.text for text, said in zip(short, answers(model, short), strict=True)]
    styled = [bool(text.system) for text in short]
    return {
        "texts": len(texts),
        "tokens": int(found.lengths.sum()),
        "bytes": int(sizes.sum()),
        "perplexity": np.exp(ratio(-found.sums, found.lengths)).round(3).tolist(),
        "bits a byte": (ratio(-found.sums, sizes) / np.log(2)).round(4).tolist(),
        "tasks done": [int(np.sum(done)), len(done)],
        "tasks done in the style asked for": [int(np.sum(done, where=styled)), int(np.sum(styled))],
    }


def answers(model: LanguageModel, texts: Sequence[Text]) -> Sequence[lm.Written]:
    """What the model writes, greedily, as its turn."""
    return lm.generate(model, [text.turns()[:-1] for text in texts], chat=True, limit=64)


# The folder


def config_of(recipe: dict) -> dict[str, Any]:
    """What shapes the model, as Hugging Face's config.json has it."""
    fixed = {"model_type": "llama", "hidden_act": "silu", "rms_norm_eps": 1e-5, "rope_theta": 1e4}
    return {**fixed, **recipe["model"], "tie_word_embeddings": True}


def make(recipe: dict, data: pathlib.Path, out: pathlib.Path, keep: pathlib.Path | None) -> dict[str, Any]:
    """Write the model that the recipe wants into a new folder; what it scores as it lies there, in bfloat16."""
    named = recipe["data"]
    texts, held_out = (problems(data / named[part], named["sha256"][named[part]]) for part in ("train", "held_out"))
    tokens, config = tokenizer(texts, recipe), FAMILIES["llama"].config(config_of(recipe))
    decoder = Decoder(config, rngs=nnx.Rngs(recipe["seed"]))
    decoder = train(decoder, batches(texts, tokens, recipe), recipe["training"], keep)
    lm.save(LanguageModel(recipe["name"], decoder, tokens, config, None, Source(out, ())), out, dtype="bfloat16")
    return scores(lm.load(out), held_out, recipe)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="folder in models/")
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--keep", type=pathlib.Path)
    options = parser.parse_args()
    place, start = HERE / options.name, time.perf_counter()
    recipe = tomllib.loads((place / "recipe.toml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as part:
        found = make(recipe, options.data, pathlib.Path(part) / "model", options.keep)
        shutil.copytree(pathlib.Path(part) / "model", options.out or place, dirs_exist_ok=True)
    print(json.dumps(found, indent=2), f"{(time.perf_counter() - start) / 60:.0f} min", sep="\n")


if __name__ == "__main__":
    try:
        main()
    except BadInput as error:
        sys.exit(f"error: {error}")
