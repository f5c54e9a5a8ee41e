import dataclasses

import numpy as np
import pytest

from lleval_jax.live import elements, panels, pictures, types
from lleval_jax.live.example import charts
from lleval_jax.live.example.charts import Chart
from lleval_jax.live.reading import Read, mentions, panels_named
from lleval_jax.live.values import Element, Panel

ONE = Element(paper="p", kind="figure", number="1", caption="Loss by epoch on held-out data.", reader="latex")
HTML, PDF = (dataclasses.replace(ONE, reader=reader) for reader in ("html", "pdf"))


def agree(*found, **how):
    return elements.agreed([Read((each,)) for each in found], "p", **how)


def test_readers_that_agree():
    read = agree(ONE, dataclasses.replace(PDF, page=3, box=(0, 0, 9, 9), caption="Loss by epoch on held-out data"))
    (element,) = read.elements
    assert (element.reader, element.page, element.caption) == ("latex", 3, ONE.caption)
    assert read.findings == ()


def test_captions_that_differ_drop_the_element_and_say_so():
    other = dataclasses.replace(PDF, caption="Something else altogether, of which nothing is the same.")
    read = agree(ONE, other)
    assert read.elements == ()
    assert "captions differ: latex: 'Loss by" in read.findings[0].reason
    assert agree(ONE, other, otherwise="latex").elements == (ONE,)


def test_two_against_one():
    other = dataclasses.replace(ONE, caption="An old caption that was not typeset in the end.")
    (element,) = agree(other, HTML, PDF).elements
    assert element.caption == HTML.caption


def test_counts_that_differ_and_one_reader_alone():
    more = dataclasses.replace(ONE, number="2", caption="Another one.")
    read = elements.agreed([Read((ONE, more)), Read((PDF,))], "p")
    assert [each.number for each in read.elements] == ["1"]
    reasons = [each.reason for each in read.findings]
    assert reasons == [
        "readers count different figures: latex 2, pdf 1",
        "figure-2: only the reader of latex has it",
    ]
    assert agree(ONE).elements == ()
    assert agree(ONE, alone=True).elements == (ONE,)


@pytest.mark.parametrize(
    ("caption", "letters"),
    [
        ("Loss: (a) training, (b) held out, and (c) both.", "abc"),
        ("a) One b) Two", "ab"),
        ("Only (a) is shown.", ""),
        ("As in (b) and (c).", ""),
        ("See (2024) and (i).", ""),
    ],
)
def test_letters_of_a_caption(caption, letters):
    assert "".join(panel.letter for panel in panels_named(caption)) == letters


def test_mentions_are_of_this_number_only():
    texts = ["See Figure 3 here.", "See Figure 31.", "Figs. 2 and 3 agree.", "Table 3 is other.", "Fig. 3b too."]
    assert mentions(texts, "figure", "3") == (texts[0], texts[2], texts[4])


def compound(number):
    """A made figure of one to six panels of any form."""
    draw = np.random.default_rng(number)
    x = (1.0, 2.0, 3.0, 4.0, 5.0)
    count = 1 + number % 6
    made = tuple(
        Chart(
            ("line", "bar", "scatter")[int(draw.integers(3))],
            x,
            {f"s{k}": tuple(draw.uniform(1, 50, 5)) for k in range(int(draw.integers(1, 4)))},
            "x",
            "error",
            f"({'abcdef'[i]})",
        )
        for i in range(count)
    )
    wide, high = draw.uniform(150, 260), draw.uniform(100, 180)
    return count, pictures.rendered(charts.as_pdf(made, wide, high), dpi=100)


def test_panels_of_made_figures():
    """LIVE's bar: at least 18 of 20."""
    made = [compound(number) for number in range(20)]
    assert sum(len(panels.split(image)) == count for count, image in made) >= 18


def test_a_caption_with_other_letters_keeps_them_without_pictures():
    images = {}
    count, image = compound(3)
    key = pictures.kept(image, images)
    named = (Panel(letter="a"), Panel(letter="b"), Panel(letter="c"))
    figure = dataclasses.replace(ONE, image=key, panels=named)
    assert count == 4
    assert panels.with_panels(figure, images) == figure
    lettered = panels.with_panels(dataclasses.replace(figure, panels=()), images)
    assert [panel.letter for panel in lettered.panels] == list("abcd")
    assert all(panel.image in images for panel in lettered.panels)


@pytest.mark.parametrize(
    ("caption", "type"),
    [
        ("Overview of our pipeline.", "diagram"),
        ("Accuracy as a function of the number of shots.", "chart"),
        ("Photographs of the sites.", "photo"),
        ("A flow chart; bar charts are in the appendix.", "unknown"),  # words of two types
        ("Results of the plotters' union.", "unknown"),
    ],
)
def test_types_by_the_words_of_a_caption(caption, type):
    assert types.by_words(caption) == type
    assert types.type_of(dataclasses.replace(ONE, caption=caption, image="no such picture"), {}) == type


def test_types_by_the_picture():
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (90, 140, 3), dtype=np.uint8)
    text = np.full((200, 300, 3), 255, np.uint8)
    text[20:180:12, 20:280:3] = 0
    assert types.by_picture(Image.fromarray(noise)) == "photo"
    assert types.by_picture(Image.fromarray(text)) == "unknown"
    assert types.by_picture(Image.new("RGB", (40, 30), "navy")) == "unknown"
    for number in (0, 6, 3):  # one panel, and four that are of a type
        images = {}
        image = compound(number)[1]
        figure = panels.with_panels(dataclasses.replace(ONE, image=pictures.kept(image, images), caption="x"), images)
        assert types.type_of(figure, images) == "chart"
