"""How an encoder's shape is read from Hugging Face's `config.json`, and written there."""

from typing import Any

import pytest

from lleval_jax.errors import BadInput
from lleval_jax.lm.encoder_config import EncoderConfig, read_config, written_config

SIZES = {
    "vocab_size": 50,
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
}
BERT = {"model_type": "bert", "pad_token_id": 0, **SIZES}
ROBERTA = {"model_type": "roberta", "pad_token_id": 1, "type_vocab_size": 1, **SIZES}


def test_bert_counts_positions_from_0_and_roberta_from_one_past_the_padding() -> None:
    bert, roberta = read_config(BERT), read_config(ROBERTA)
    assert (bert.first, bert.context, bert.types) == (0, 40, 2)
    assert (roberta.first, roberta.context, roberta.types) == (2, 38, 1)


def test_labels_are_read_in_the_order_of_their_numbers() -> None:
    stated = {**BERT, "architectures": ["BertForSequenceClassification"]}
    assert read_config({**stated, "id2label": {"10": "c", "9": "b", "0": "a"}}).labels == ("a", "b", "c")
    assert read_config(stated).labels == ("LABEL_0", "LABEL_1")  # as transformers, which writes no two plain labels
    assert read_config({**stated, "num_labels": 3}).labels == ("LABEL_0", "LABEL_1", "LABEL_2")
    assert read_config({**BERT, "architectures": ["BertModel"], "id2label": {"0": "a"}}).labels == ()


@pytest.mark.parametrize("stated", [BERT, ROBERTA], ids=["bert", "roberta"])
@pytest.mark.parametrize("labels", [(), ("no", "yes", "maybe")], ids=["bare", "labels"])
def test_what_is_written_is_read_again(stated: dict, labels: tuple) -> None:
    config = EncoderConfig(
        **{**vars(read_config(stated)), "labels": labels, "activation": "gelu_tanh", "norm_eps": 1e-5}
    )
    assert read_config(written_config(config)) == config


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_type": "t5"}, r"dir/config.json: the encoder 't5' is not known; there are bert, roberta"),
        ({"model_type": None}, r"the encoder 'None' is not known"),
        ({"hidden_size": None}, r"dir/config.json: hidden_size is None; it must be a whole number of 1 or more"),
        ({"num_hidden_layers": 0}, r"num_hidden_layers is 0; it must be"),
        ({"num_attention_heads": 5}, r"hidden_size 32 is not a multiple of num_attention_heads 5"),
        ({"hidden_act": "mish"}, r"hidden_act 'mish' is not known; there are gelu, gelu_new"),
        ({"position_embedding_type": "relative_key"}, r"positions are 'relative_key'; only 'absolute' ones"),
        ({"is_decoder": True}, r"is_decoder is true; an encoder reads in both directions"),
        ({"embedding_size": 16}, r"embedding_size is 16; embeddings of a width of their own"),
        (
            {"model_type": "roberta", "max_position_embeddings": 1},
            r"max_position_embeddings is 1, of which 1 lie before",
        ),
    ],
)
def test_a_config_that_is_not_known_says_why(change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        read_config({**BERT, **change}, where="dir/config.json")
