"""A made paper as the archive of its LaTeX source, and as HTML of the kind that LaTeXML writes."""

import gzip
import html
import io
import tarfile

from lleval_jax.live.example.charts import as_pdf, as_png
from lleval_jax.live.example.contents import Content, Figure, Table, Text

HEAD = r"""\documentclass{article}
\usepackage{graphicx,subcaption,longtable,booktabs}
\newcommand{\percent}{\%%}
\begin{document}
\title{%s}
\author{%s}
\maketitle
%% \begin{figure} \includegraphics{old} \caption{This one was taken out.} \end{figure}
\input{sections/body}
\end{document}
"""


def as_archive(content: Content) -> bytes:
    """A gzipped tar of main.tex, sections/body.tex and figures/; the same bytes at any time."""
    files = {
        "main.tex": (HEAD % (content.title, r" \and ".join(content.authors))).encode(),
        "sections/body.tex": "\n\n".join(_latex(block) for block in content.blocks).encode(),
    }
    for figure in content.figures:
        for name, charts in _files(figure).items():
            files[f"figures/{name}"] = as_pdf(charts) if name.endswith(".pdf") else as_png(charts)
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="wb", mtime=0, filename="") as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
            for name in sorted(files):
                info = tarfile.TarInfo(name)
                info.size = len(files[name])
                archive.addfile(info, io.BytesIO(files[name]))
    return out.getvalue()


def as_html(content: Content) -> bytes:
    """The page; its pictures are `pictures(content)`."""
    numbers = content.numbers()
    body = "\n".join(_html(block, numbers) for block in content.blocks)
    title = html.escape(content.title)
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head><body>'
        f'<article class="ltx_document"><h1 class="ltx_title ltx_title_document">{title}</h1>\n{body}\n'
        "</article></body></html>\n"
    ).encode()


def pictures(content: Content) -> dict[str, bytes]:
    """Name -> PNG file, of the pictures in the page."""
    return {_picture(name): as_png(charts) for figure in content.figures for name, charts in _files(figure).items()}


def _files(figure: Figure) -> dict[str, tuple]:
    """Name in the archive -> the panels in it: one file, or one each where the panels have captions of their own."""
    stem = figure.label.partition(":")[2]
    if figure.parts:
        return {f"{stem}-{chart.letter.strip('()')}.png": (chart,) for chart in figure.charts}
    return {f"{stem}.pdf": figure.charts}


def _picture(name: str) -> str:
    return f"{name.rpartition('.')[0]}.png"


def _escaped(text: str) -> str:
    return text.replace("%", r"\%").replace("&", r"\&").replace("#", r"\#")


def _latex(block: Text | Figure | Table) -> str:
    if isinstance(block, Text):
        head = f"\\section{{{block.head}}}\n" if block.head else ""
        return head + block.text
    if isinstance(block, Figure):
        return _latex_figure(block)
    rows = [" & ".join(map(_escaped, row)) + r" \\" for row in block.rows]
    form, caption = "l" + "r" * (len(block.rows[0]) - 1), _escaped(block.caption)
    if block.long:
        top = f"\\caption{{{caption}}}\\label{{{block.label}}}\\\\\n\\toprule\n{rows[0]}\n\\midrule\n\\endfirsthead\n"
        again = f"\\toprule\n{rows[0]}\n\\midrule\n\\endhead\n\\bottomrule\n\\endfoot\n"
        return f"\\begin{{longtable}}{{{form}}}\n{top}{again}" + "\n".join(rows[1:]) + "\n\\end{longtable}"
    inner = f"\\toprule\n{rows[0]}\n\\midrule\n" + "\n".join(rows[1:]) + "\n\\bottomrule"
    return (
        f"\\begin{{table}}\n\\centering\n\\caption{{{caption}}}\n\\label{{{block.label}}}\n"
        f"\\begin{{tabular}}{{{form}}}\n{inner}\n\\end{{tabular}}\n\\end{{table}}"
    )


def _latex_figure(block: Figure) -> str:
    names = list(_files(block))
    if block.parts:
        inner = "\n".join(
            f"\\begin{{subfigure}}{{0.45\\textwidth}}\n\\includegraphics[width=\\linewidth]{{figures/{name}}}\n"
            f"\\caption{{{_escaped(part)}}}\n\\end{{subfigure}}"
            for name, part in zip(names, block.parts, strict=True)
        )
    else:
        inner = f"\\includegraphics[width=\\linewidth]{{figures/{names[0].removesuffix('.pdf')}}}"
    tail = f"\\caption{{{_escaped(block.caption)}}}\n\\label{{{block.label}}}\n\\end{{figure}}"
    return f"\\begin{{figure}}\n\\centering\n{inner}\n{tail}"


def _html(block: Text | Figure | Table, numbers: dict[str, int]) -> str:
    if isinstance(block, Text):
        head = f'<h2 class="ltx_title ltx_title_section">{html.escape(block.head)}</h2>' if block.head else ""
        text = html.escape(block.text)
        for label, number in numbers.items():
            link = f'<a class="ltx_ref" href="#{_anchor(label)}"><span class="ltx_text ltx_ref_tag">{number}</span></a>'
            text = text.replace(f"\\ref{{{label}}}", link)
        return f'{head}<div class="ltx_para"><p class="ltx_p">{text}</p></div>'
    kind = "figure" if isinstance(block, Figure) else "table"
    tag = f'<span class="ltx_tag ltx_tag_{kind}">{kind.capitalize()} {block.number}: </span>'
    caption = f'<figcaption class="ltx_caption">{tag}{html.escape(block.caption)}</figcaption>'
    inner = _html_panels(block) + caption if isinstance(block, Figure) else caption + _html_cells(block)
    return f'<figure class="ltx_{kind}" id="{_anchor(block.label)}">{inner}</figure>'


def _html_panels(block: Figure) -> str:
    images = [f'<img class="ltx_graphics" src="{_picture(name)}" alt="">' for name in _files(block)]
    if not block.parts:
        return images[0]
    return "".join(
        f'<figure class="ltx_figure ltx_figure_panel">{image}<figcaption class="ltx_caption">'
        f'<span class="ltx_tag ltx_tag_figure">{chart.letter} </span>{html.escape(part)}</figcaption></figure>'
        for image, chart, part in zip(images, block.charts, block.parts, strict=True)
    )


def _html_cells(block: Table) -> str:
    rows = "".join(
        "<tr class='ltx_tr'>" + "".join(f"<{tag} class='ltx_td'>{html.escape(cell)}</{tag}>" for cell in row) + "</tr>"
        for row, tag in zip(block.rows, ["th", *["td"] * (len(block.rows) - 1)], strict=True)
    )
    return f'<table class="ltx_tabular">{rows}</table>'


def _anchor(label: str) -> str:
    return label.replace(":", ".")
