"""Encoders so small that they run at once, with tokenizers of BERT's and RoBERTa's kind."""

import pathlib

import jax
import numpy as np
from flax import nnx
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from lleval_jax.lm.encoder import Encoder
from lleval_jax.lm.encoder_config import EncoderConfig

WORDS = ["the", "cat", "dog", "sat", "ran", "on", "a", "mat", "."]
SIZES = {"layers": 2, "width": 32, "heads": 4, "hidden": 64, "positions": 24}


def tokenizer(family: str, folder: pathlib.Path) -> int:
    """Write a `tokenizer.json` of whole words, framed as the family frames texts; how many tokens it has."""
    bert = family == "bert"
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] if bert else ["<s>", "<pad>", "</s>", "<unk>"]
    unknown, begin, end = (marks[1], marks[2], marks[3]) if bert else (marks[3], marks[0], marks[2])
    vocab = {word: at for at, word in enumerate([*marks, *WORDS])}
    made = Tokenizer(models.WordLevel(vocab, unk_token=unknown))
    made.normalizer, made.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens(marks)
    frame = processors.BertProcessing if bert else processors.RobertaProcessing
    made.post_processor = frame((end, vocab[end]), (begin, vocab[begin]))
    made.enable_truncation(8)  # as MiniLM's file does; the encoder's own limit holds
    made.save(str(folder / "tokenizer.json"))
    names = {"cls_token": begin, "sep_token": end, "unk_token": unknown, "pad_token": "[PAD]" if bert else "<pad>"}
    text = ", ".join(f'"{name}": "{token}"' for name, token in names.items())
    (folder / "tokenizer_config.json").write_text(f'{{"tokenizer_class": "PreTrainedTokenizerFast", {text}}}')
    return len(vocab)


def config(family: str, labels: tuple[str, ...] = (), **other: int) -> EncoderConfig:
    """The shape of a tiny encoder of one family."""
    own = {"pad": 1, "first": 2, "types": 1, "norm_eps": 1e-5} if family == "roberta" else {}
    return EncoderConfig(family, **{"vocab": 13, **SIZES, **own, **other}, labels=labels)


def loud(made: Encoder) -> Encoder:
    """Weights so large that every part shows."""
    draw, state = np.random.default_rng(1), nnx.state(made, nnx.Param)
    nnx.update(made, jax.tree.map(lambda x: np.asarray(x) + 0.2 * draw.normal(size=x.shape).astype("f4"), state))
    return made
