"""Tokenizers of a few hundred tokens, trained in a moment, and texts that are hard to split and join again."""

import io
import json
import random

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = [
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May.",
    "How many clips did Natalia sell altogether in April and May? She sold 48/2 = 24 clips in May.",
    "The capital of France is Paris.  Two spaces,\n\n two lines; and it's 12,345 apples that we've counted.",
    "Ä é ö ß 東京は日本の首都です Привет, как дела? שלום 😀",
]
CONTROLS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
ALPHABETS = [
    "abcdefghijklmnopqrstuvwxyz",
    "0123456789.,;:!?'\"()[]{}<>|/\\=+-*_#$%&@^~`",
    "éèêàçñüößÅøžΑβγжлщקרא中文東京ไทยहिन्दी한국어",
    "e\u0301a\u0308o\u0302\u200d\u200b\ufeff\u00a0\u2028",
    "😀🎉👩‍👩‍👧‍👦🇫🇷👍🏽𝔘𐍈",
    " \t\n\r",
]


def random_texts(count: int, seed: int = 0) -> list[str]:
    """Texts of up to 40 characters from all alphabets, with runs of spaces and control tokens written out."""
    rng = random.Random(seed)
    extra = ["  ", "    ", "\n\n", *CONTROLS, "<s>", "</s>", "<unk>", "<0x41>", "[INST]"]

    def one() -> str:
        alphabets = rng.sample(ALPHABETS, rng.randint(1, 4))
        parts = (rng.choice(rng.choice(alphabets)) if rng.random() < 0.9 else rng.choice(extra) for _ in range(40))
        return "".join(list(parts)[: rng.randint(0, 40)])

    return [one() for _ in range(count)]


def byte_level(pattern: str | None = None, *, nfc: bool = False, vocab: int = 400) -> Tokenizer:
    """Byte-level BPE, by GPT-2's pattern or another, with three control tokens first."""
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.NFC() if nfc else None
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if pattern:
        words = pre_tokenizers.Split(Regex(pattern), "isolated")
        made.pre_tokenizer = pre_tokenizers.Sequence(
            [words, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
        )
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(vocab_size=vocab, special_tokens=CONTROLS, initial_alphabet=alphabet, show_progress=False),
    )
    return made


def word_piece() -> Tokenizer:
    """BERT's kind, lower-cased, with [CLS] and [SEP] around a text and between two."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.normalizer, made.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.train_from_iterator(
        TEXTS, trainers.WordPieceTrainer(vocab_size=200, special_tokens=special, show_progress=False)
    )
    made.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    made.enable_truncation(6)  # as MiniLM's file has
    made.enable_padding(length=6)
    return made


def llama_like() -> Tokenizer:
    """SentencePiece's kind as `tokenizers` writes it: spaces as pieces, bytes for what the vocabulary lacks, BOS."""
    spm = SentencePieceProcessor(model_proto=sentencepiece_model())
    pieces = [spm.id_to_piece(i) for i in range(spm.get_piece_size())]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    scores = {piece: spm.get_score(i) for piece, i in vocab.items()}
    merges = [
        (scores[whole], whole[:cut], whole[cut:])
        for whole in pieces
        for cut in range(1, len(whole))
        if whole[:cut] in vocab and whole[cut:] in vocab and not whole.startswith("<")
    ]
    pairs = [(left, right) for _, left, right in sorted(merges, key=lambda one: -one[0])]
    made = Tokenizer(models.BPE(vocab=vocab, merges=pairs, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    made.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in ("<unk>", "<s>", "</s>")])
    made.post_processor = processors.TemplateProcessing("<s> $A", "<s> $A <s> $B", [("<s>", vocab["<s>"])])
    return made


def sentencepiece_model(**options) -> bytes:
    """A SentencePiece BPE model with byte fallback."""
    written = io.BytesIO()
    given = {"add_dummy_prefix": True, "user_defined_symbols": ["[INST]", "\n\n"]} | options
    SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=written,
        model_type="bpe",
        vocab_size=400,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        minloglevel=2,
        **given,
    )
    return written.getvalue()


def write(folder, made: Tokenizer, config: dict) -> None:
    """A folder as Hugging Face publishes it."""
    (folder / "tokenizer.json").write_text(made.to_str(), encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def gguf_facts(made: Tokenizer, pre: str) -> dict:
    """What a GGUF file says of a byte-level tokenizer."""
    held = json.loads(made.to_str())
    size = made.get_vocab_size()
    controls = {each["id"] for each in held["added_tokens"]}
    merges = held["model"]["merges"]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": [made.id_to_token(i) for i in range(size)],
        "tokenizer.ggml.token_type": [3 if i in controls else 1 for i in range(size)],
        "tokenizer.ggml.merges": [" ".join(pair) for pair in merges],
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.padding_token_id": 0,
    }
