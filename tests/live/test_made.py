"""The three readers on made papers, whose figures, tables and cells are known: they must find the same."""

import pytest

from lleval_jax.live import elements, html, latex, pdf
from lleval_jax.live.example import contents, forms, layout
from lleval_jax.live.latex_source import plain

SHOWN = (0, 1, 2, 4)  # two columns, a table over pages, panels in own files, a table that begins at the foot of a page


@pytest.fixture(scope="module", params=SHOWN)
def made(request):
    """(the content, what each reader found)."""
    content = contents.content(request.param)
    found = (
        latex.read(forms.as_archive(content), "2611.1v1"),
        html.read(forms.as_html(content), "2611.1v1", forms.pictures(content)),
        pdf.read(layout.as_pdf(content), "2611.1v1"),
    )
    return content, found


def test_each_reader_finds_what_is_there(made):
    content, found = made
    truth = {f"figure-{f.number}": f.caption for f in content.figures}
    truth |= {f"table-{t.number}": t.caption for t in content.tables}
    for read in found:
        assert read.findings == ()
        assert {each.name.rpartition("/")[2]: each.caption for each in read.elements} == truth


def test_cells_are_exact(made):
    content, found = made
    for read in found:
        cells = {each.number: each.cells for each in read.elements if each.kind == "table"}
        assert cells == {str(table.number): table.rows for table in content.tables}


def test_all_have_pictures_that_are_kept(made):
    _, found = made
    for read in found:
        assert all(each.image for each in read.elements if each.kind == "figure")
        assert all(content[:4] == b"\x89PNG" for content in read.images.values())
    assert all(each.box and each.page and each.image for each in found[2].elements)


def test_readers_agree_and_panels_get_pictures(made):
    content, found = made
    read = elements.agreed(found, "2611.1v1")
    assert read.findings == ()
    assert len(read.elements) == 5
    for element, figure in zip([e for e in read.elements if e.kind == "figure"], content.figures, strict=True):
        count = len(figure.charts)
        assert len(element.panels) == (count if count > 1 else 0)
        assert element.compound == (count > 1)
        assert all(panel.image in read.images for panel in element.panels)
    table = next(each for each in read.elements if each.name.endswith("table-1"))
    assert table.reader == "latex"
    assert table.page == 1
    assert "compares the methods" in table.mentions[0]


def test_panels_of_a_pdf_alone(made):
    content, found = made
    read = elements.agreed(found[2:], "2611.1v1", alone=True)
    compound = next(each for each in read.elements if each.name.endswith("figure-2"))
    assert len(compound.panels) == len(content.figures[1].charts)


def test_macros_and_spans_and_what_is_commented_out():
    source = rb"""\documentclass{article}\newcommand{\ours}[1][Net]{\textbf{#1}-X}\def\pm@{x}
    \begin{document}
    % \begin{figure}\caption{No.}\end{figure}
    \begin{comment}\begin{table}\caption{No.}\end{table}\end{comment}
    See Figure~\ref{fig:a} and \cref{tab:b,fig:a}.

    \begin{figure*}\caption[Short]{Loss of \ours{} at 5\,\% \label{fig:a} (see {\em all}).}\end{figure*}
    \begin{figure}\caption*{No number.}\end{figure}
    \begin{table}\caption{Spans.}\label{tab:b}\begin{tabular}{lcc}
    \multirow{2}{*}{A} & \multicolumn{2}{c}{Both} \\ \cmidrule(lr){2-3}
     & left & right \\[2pt] \hline
    x\&y & $-1.5$ & {a & b} \\
    \end{tabular}\end{table}
    \end{document}"""
    figure, table = latex.read(source, "p").elements
    assert figure.caption == "Loss of Net-X at 5 % (see all)."
    assert (figure.number, figure.label, figure.image) == ("1", "fig:a", "")
    assert table.cells[0] == ("A", "Both", "Both")
    assert table.cells[1] == ("A", "left", "right")
    assert table.cells[2][0] == "x&y"
    assert figure.mentions == ("See Figure 1 and 1, 1.",)


def test_markup_as_text():
    assert plain(r"M\"uller's $\alpha = 0.5$ -- {\bf bold}\footnote{no}") == "Müller's α = 0.5 – bold"


def test_html_spans_formulas_and_stubs():
    page = (
        "<article><p class='ltx_p'>%s <a class='ltx_ref' href='#T1'>1</a></p>"
        "<figure class='ltx_table' id='T1'><figcaption class='ltx_caption'><span class='ltx_tag'>Table 1: </span>"
        "Of <math alttext='\\alpha'><mi>x</mi></math>.</figcaption><table class='ltx_tabular'>"
        "<tr><td rowspan='2'>A</td><td colspan='2'>B</td></tr><tr><td>c</td><td>d</td></tr></table></figure>"
        "<figure class='ltx_figure'><figcaption>No number.</figcaption></figure></article>"
    ) % ("words " * 100)
    (table,) = html.read(page.encode(), "p").elements
    assert table.caption == "Of α."
    assert table.cells == (("A", "B", "B"), ("A", "c", "d"))
    assert len(table.mentions) == 1
