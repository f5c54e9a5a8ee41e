import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from lleval_jax.live import duplicates, pictures
from lleval_jax.live.example import charts
from lleval_jax.live.example.charts import Chart
from lleval_jax.live.values import Element, Paper, question

PAPER = Paper(
    id="2611.00001",
    version=1,
    title="On the prediction of things",
    authors=("A",),
    categories=("cs.LG",),
    created="2026-11-01",
    updated="2026-11-01",
    licence="",
    source="oai",
)


def test_planted_papers():
    fresh = [
        dataclasses.replace(PAPER, id=f"2611.{i:05d}", title=f"On thing {chr(97 + i)}", categories=("cs.CV",))
        for i in range(20)
    ]
    again = [dataclasses.replace(each, version=2, updated="2026-11-09") for each in fresh[:10]]
    again += [dataclasses.replace(each, categories=("eess.SP", "cs.LG")) for each in fresh[5:15]]
    again += [
        dataclasses.replace(
            each, id=f"2612.{i:05d}", title=each.title.upper().replace(" ", "  ") + ".", created="2026-12-01"
        )
        for i, each in enumerate(fresh[10:20])
    ]
    kept, findings = duplicates.papers([*again, *fresh])
    assert {each.id for each in kept} == {each.id for each in fresh}
    assert len(findings) == 30


def chart(number):
    draw = np.random.default_rng(number)
    x = tuple(float(i) for i in range(1, 9))
    form = ("line", "bar", "scatter")[number % 3]
    series = {f"s{k}": tuple(draw.uniform(1, 50, 8)) for k in range(1 + number % 2)}
    return pictures.rendered(charts.as_pdf((Chart(form, x, series, "x", "y"),)), dpi=100)


def jpeg(image):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=60)
    return Image.open(io.BytesIO(out.getvalue())).convert("RGB")


def scaled(by):
    return lambda image: image.resize((round(image.width * by), round(image.height * by)))


def shifted(image):
    moved = Image.new("RGB", image.size, "white")
    moved.paste(image, (1, 1))
    return moved


def recoloured(image):
    red, green, blue = image.split()
    return Image.merge("RGB", (blue, red, green))


CHANGES = (scaled(0.5), scaled(0.75), scaled(2.0), jpeg, shifted, recoloured)


def test_planted_pictures_are_found_and_others_are_not():
    """LIVE's bar: 40 of 40 planted, at most 2 of 2,000 distinct pairs."""
    originals = [chart(number) for number in range(64)]
    prints = [duplicates.fingerprint(image) for image in originals]
    planted = [duplicates.fingerprint(CHANGES[i % len(CHANGES)](originals[i])) for i in range(40)]
    found = [duplicates.same_picture(a, b) for a, b in zip(prints, planted, strict=False)]
    assert sum(found) == 40
    pairs = [(a, b) for i, a in enumerate(prints) for b in prints[:i]][:2_000]
    assert len(pairs) == 2_000
    assert sum(duplicates.same_picture(a, b) for a, b in pairs) <= 2


def test_elements_with_the_same_picture():
    images = {}
    first, other = chart(1), chart(2)
    keys = [pictures.kept(image, images) for image in (first, scaled(0.5)(first), other)]
    made = [
        Element(paper="p", kind="figure", number=str(i), caption="c", reader="latex", image=key)
        for i, key in enumerate([*keys, ""])
    ]
    kept, findings = duplicates.elements(made, images.__getitem__)
    assert [each.number for each in kept] == ["0", "2", "3"]
    assert "p/figure-1 shows p/figure-0 again" in findings[0].reason
    before = [duplicates.fingerprint(other)]
    assert [each.number for each in duplicates.elements(made, images.__getitem__, before)[0]] == ["0", "3"]


def ask(text, answer="1,200.5", element="p/table-1", options=("1,200.5", "7", "8", "9")):
    return question(element=element, kind="k", text=text, options=options, answer=answer, made_by="m")


@pytest.mark.parametrize(
    "change",
    [
        lambda i: ask(f"WHAT is the  value of row {i}?"),
        lambda i: ask(f"What is the value of row {i}.0 ?"),
        lambda i: ask(f"What is the value of row {i}?", options=("9", "8", "7", "1,200.5")),
        lambda i: ask(f"What is the value of row {i}?", "1200.50", options=("1200.50", "7", "8", "9")),
    ],
)
def test_planted_questions(change):
    fresh = [ask(f"What is the value of row {i}?") for i in range(15)]
    kept, again = duplicates.questions([*fresh, *(change(i) for i in range(15))])
    assert kept == tuple(fresh)
    assert [first for _, first in again] == fresh


def test_the_same_words_about_another_picture_or_with_another_answer_stay():
    text = "Which method has the highest accuracy?"
    made = [ask(text), ask(text, element="p/table-2"), ask(text, "7")]
    assert len(duplicates.questions(made)[0]) == 3
    assert len(duplicates.questions(made, {"p/table-1": "a", "p/table-2": "a"})[0]) == 2
