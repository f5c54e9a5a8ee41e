"""Scores of texts under the elements of a prompt: what is asked, the table, going on, and what cannot be scored."""

import itertools
import pathlib

import numpy as np
import pytest
from stub_model import Stub, shown, value

import lleval_jax as ll
from lleval_jax.errors import BadInput
from lleval_jax.harness import made
from lleval_jax.harness.library import Library, read_library
from lleval_jax.harness.prompt_scores import score_texts
from lleval_jax.harness.scored_texts import read_texts
from lleval_jax.values.progress import Progress

ELEMENTS = {"role": "You are terse.", "rule": "Use a number.", "tone": "Be kind."}
TEXTS = {"text": ["t1", "t2", "t3"], "input": ["1 + 1?", "", "{input}?"], "answer": ["2", "4 {elements}", "nine"]}
PAIRS = {"text": ["t1", "t2"], "input": ["1?", "2?"], "preferred": ["a", "bb"], "rejected": ["ccc", "d"]}


def library(**more) -> Library:
    return Library(ELEMENTS, **more)


def test_every_text_is_scored_under_every_combination():
    stub, texts = Stub(), read_texts(TEXTS)
    found = score_texts(stub, texts, library(), subsets=["tone+role"], bare=True)
    names = ["role", "rule", "tone", "full", "role+tone", "bare"]
    assert found.frame["element"].unique().tolist() == names
    assert len(found.frame) == found.new == 3 * len(names)
    both = "You are terse.\nBe kind.\n\n{input}?\n"
    row = found.frame.set_index(["text", "element"]).loc[("t3", "role+tone")]
    assert row["logprob"] == value(both.encode(), b"nine")
    assert row["tokens"] == 4
    assert stub.calls[-1] == ["1 + 1?\n", "\n", "{input}?\n"]  # without any element


def test_pepr_reads_the_table(tmp_path):
    out = tmp_path / "scores.csv"
    score_texts(
        Stub(),
        read_texts(TEXTS | {"desired": [1, 0, "true"]}),
        library(),
        out=out,
        subsets=["role+rule"],
        bare=True,
    )
    found = ll.read_logprobs(out)
    assert found.elements == tuple(ELEMENTS)
    assert set(found.subsets) == {"full", "role+rule"}
    assert found.desired.tolist() == [True, False, True]
    assert found.tokens.tolist() == [[1, 12, 4]]


def test_pairs_have_two_columns(tmp_path):
    out = tmp_path / "scores.csv"
    found = score_texts(Stub(), read_texts(PAIRS), library(), out=out, batch=1)
    assert list(found.frame) == [
        "text",
        "element",
        "preferred",
        "rejected",
        "tokens_preferred",
        "tokens_rejected",
        "prompt_tokens",
    ]
    first = found.frame.iloc[0]
    prompt = b"You are terse.\n\n1?\n"
    assert float(first["rejected"]) == pytest.approx(value(prompt, b"ccc"), abs=1e-6)
    read = ll.read_logprobs(out)
    assert read.pairs
    np.testing.assert_array_equal(read.tokens, [[1, 2], [3, 1]])


def test_a_chat_has_elements_in_the_system_message():
    made_of = library(chat=True)
    assert made_of.prompt(["role", "tone"], "Hi") == (("system", "You are terse.\nBe kind."), ("user", "Hi"))
    assert made_of.prompt([], "Hi") == (("user", "Hi"),)
    assert made_of.end == ""
    stub = Stub()
    score_texts(stub, read_texts(TEXTS), made_of)
    assert stub.calls[0][0] == shown((("system", "You are terse."), ("user", "1 + 1?")))
    with pytest.raises(BadInput, match="stub has no chat template"):
        score_texts(Stub(chats=False), read_texts(TEXTS), made_of)


def test_a_blank_at_the_end_of_the_template_belongs_to_the_answer():
    made_of = library(template="{elements} Q: {input} A: ")
    stub = Stub()
    found = score_texts(stub, read_texts(TEXTS), made_of)
    assert stub.calls[0][0] == "You are terse. Q: 1 + 1? A:"
    assert found.frame["tokens"][0] == 2


@pytest.mark.parametrize("dies", range(9))
def test_a_run_that_was_stopped_goes_on_and_ends_the_same(tmp_path, dies):
    whole, out, texts = tmp_path / "whole.csv", tmp_path / "scores.csv", read_texts(TEXTS)
    score_texts(Stub(), texts, library(), out=whole, batch=2)
    with pytest.raises(KeyboardInterrupt):
        score_texts(Stub(dies=dies), texts, library(), out=out, batch=2) if dies < 8 else Stub(dies=0).score(
            [], [], tell=print
        )
    before = len(out.read_text().splitlines()) if out.exists() else 1
    stub = Stub()
    found = score_texts(stub, texts, library(), out=out, batch=2)
    assert out.read_bytes() == whole.read_bytes()
    assert found.new == 12 - (before - 1) if dies < 8 else found.new == 12
    again = score_texts(Stub(dies=0), texts, library(), out=out, batch=2)
    assert (again.new, again.tokens) == (0, 0)
    assert len(again.frame) == 12


def test_a_line_that_was_cut_short_is_scored_again(tmp_path):
    out, texts = tmp_path / "scores.csv", read_texts(TEXTS)
    score_texts(Stub(), texts, library(), out=out)
    whole = out.read_bytes()
    out.write_bytes(whole[:-2])
    assert score_texts(Stub(), texts, library(), out=out).cut.startswith("t3,full,")
    assert out.read_bytes() == whole


def test_more_texts_and_subsets_are_added(tmp_path):
    out, fewer = tmp_path / "scores.csv", {name: cells[:2] for name, cells in TEXTS.items()}
    score_texts(Stub(), read_texts(fewer), library(), out=out)
    found = score_texts(Stub(), read_texts(TEXTS), library(), out=out, subsets=["role+rule"])
    assert found.new == 4 + 3
    assert len(found.frame) == 15
    assert not found.frame.duplicated(["text", "element"]).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"known": "stub 2"}, "scores.csv was begun with another model: stub 1 then, stub 2 now. Give the same"),
        ({"elements": ELEMENTS | {"role": "You are wordy."}}, "was begun with another library. "),
        ({"template": "{elements} {input}"}, "was begun with another library. "),
        ({"answer": ["2", "4 {elements}", "ten"]}, "was begun with another text 't3'. "),
    ],
)
def test_a_table_begun_with_other_inputs_is_refused(tmp_path, change, message):
    out, stub = tmp_path / "scores.csv", Stub()
    score_texts(Stub(), read_texts(TEXTS), library(), out=out)
    before = out.read_bytes()
    stub.known = change.pop("known", stub.known)
    texts = read_texts(TEXTS | {"answer": change.pop("answer", TEXTS["answer"])})
    with pytest.raises(BadInput, match=message):
        score_texts(stub, texts, Library(**({"elements": ELEMENTS} | change)), out=out)
    assert out.read_bytes() == before


def test_another_programs_table_is_refused_and_an_old_record_binds_to_nothing(tmp_path):
    out = tmp_path / "scores.csv"
    score_texts(Stub(), read_texts(TEXTS), library(), out=out)
    out.unlink()
    other = Stub()
    other.known = "stub 2"
    score_texts(other, read_texts(TEXTS), library(), out=out)
    made.place(out).unlink()
    with pytest.raises(BadInput, match="scores.csv is there, and 'lleval pepr score' did not write it"):
        score_texts(Stub(), read_texts(TEXTS), library(), out=out)
    made.place(out).write_text("{")
    with pytest.raises(BadInput, match="made.json is damaged"):
        score_texts(Stub(), read_texts(TEXTS), library(), out=out)


def test_a_text_that_does_not_fit_is_named_before_anything_is_written(tmp_path):
    out = tmp_path / "scores.csv"
    message = "the dict, row 1: text 't1' under 'full' has 46 tokens, and 1 of its answer; the model's context is 45"
    with pytest.raises(BadInput, match=message):
        score_texts(Stub(context=45), read_texts(TEXTS), library(), out=out)
    assert list(tmp_path.iterdir()) == []


def test_progress_counts_tokens():
    told: list[Progress] = []
    found = score_texts(Stub(), read_texts(TEXTS), library(), batch=2, tell=told.append)
    assert {one.unit for one in told} == {"tokens"}
    assert all(one.done <= two.done for one, two in itertools.pairwise(told))
    assert told[-1].done == told[-1].total == found.tokens
    assert told[-1].rate > 0


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"text": ["a"], "answer": ["b"]}, "has no column 'input'; it has 'text', 'answer'"),
        ({"text": ["a"], "input": ["b"]}, "has no column 'answer'; .* texts need text, input and answer, or"),
        ({"text": ["a"], "input": ["b"], "preferred": ["c"]}, "has no column 'rejected'"),
        (TEXTS | {"answer": ["2", " ", "3"]}, "the dict, row 2: answer of text 't2' is empty; there is nothing to"),
        (TEXTS | {"text": ["a", "b", "a"]}, "row 3: text 'a' is in row 1 too; each name stands once"),
        (TEXTS | {"text": ["a", "", "c"]}, "row 2: text is empty; each row needs a name"),
        (TEXTS | {"text": ["a", "b\nc", "c"]}, "row 2: text 'b.nc' is not on one line"),
        (TEXTS | {"desired": [1, 0, "maybe"]}, "row 3: desired is 'maybe'; it must be 1 or 0"),
    ],
)
def test_texts_that_are_wrong_are_named(table, message):
    with pytest.raises(BadInput, match=message):
        read_texts(table)


TOML = """
template = "{elements} | {input}"
join = "; "
[elements]
role = "You are terse."
rule = "Use a number."
"""


def test_a_library_is_toml(tmp_path: pathlib.Path):
    (tmp_path / "e.toml").write_text(TOML)
    found = read_library(tmp_path / "e.toml")
    assert found.prompt(["role", "rule"], "Hi") == "You are terse.; Use a number. | Hi"
    assert found.prompt([], "Hi") == "| Hi"
    with pytest.raises(BadInput, match="combination 'role.x' names 'x', which is no element"):
        found.combinations(["role+x"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[elements]", "[element]"), "e.toml has 'element'; it may have .*; did you mean 'elements'?"),
        (('rule = "Use a number."', ""), "e.toml has 1 elements; PEPR compares two or more"),
        (('"Use a number."', '" "'), "e.toml: element 'rule' is empty"),
        (('"Use a number."', "3"), "e.toml: elements.rule is 3; it must be a text in quotes"),
        (("rule =", "full ="), "no element can be called 'full'; that is all elements together"),
        (("rule =", '"a+b" ='), "element 'a.b' has '.' in its name"),
        (("{elements} |", "|"), "template has no {elements}: '| {input}'"),
        (("{input}", "{question}"), "template has {question}, which nothing fills; there are {elements}, {input}"),
        (('join = "; "', "join = 1"), "join is 1; it must be a text in quotes"),
        (('join = "; "', "chat = 1"), "chat is 1; it must be true or false"),
        (('join = "; "', "chat = true"), "template has {elements}, which nothing fills; there are {input}"),
        (("[elements]", "[elements"), "e.toml is not TOML"),
    ],
)
def test_a_library_that_is_wrong_is_named(tmp_path, change, message):
    (tmp_path / "e.toml").write_text(TOML.replace(*change))
    with pytest.raises(BadInput, match=message):
        read_library(tmp_path / "e.toml")
