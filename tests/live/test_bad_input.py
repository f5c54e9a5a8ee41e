"""Files that are damaged, locked, too large or hostile: one clear line each."""

import gzip
import io
import tarfile
import zlib

import pytest

from lleval_jax.errors import BadFile
from lleval_jax.live import documents, html, latex, pdf, pictures, unpack
from lleval_jax.live.archive import Addresses
from lleval_jax.live.example.canvas import Page
from lleval_jax.live.example.canvas import pdf as pdf_of
from lleval_jax.live.fetch import Got, Memory, NotFetched
from lleval_jax.live.values import Paper

BODY = rb"\documentclass{article}\begin{document}%s\end{document}"
FIGURE = rb"\begin{figure}\includegraphics{a.png}\caption{One.}\end{figure}"


def archive(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        for name, content, kind in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(content), "/etc/passwd"
            packed.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "0 bytes"),
        (b"%PDF-1.5 rest", "is a PDF"),
        (b"hello", "neither an archive nor a TeX file"),
        (gzip.compress(bytes(range(256)) * 9, mtime=0)[:200], "cut short"),
        (b"\x1f\x8bnothing like it", "damaged"),
        (gzip.compress(b"\\relax", mtime=0), "begin{document}"),
        (BODY % rb"\includepdf{all.pdf}", "only takes in a PDF"),
        (archive(("a.tex", BODY % rb"\input{b}", b"0"), ("b.tex", rb"\input{b}", b"0")), "take in each other"),
    ],
    ids=range(8),
)
def test_sources(content, reason):
    with pytest.raises(BadFile, match=reason):
        latex.read(content, "2611.1v1")


def test_a_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(unpack, "MOST_BYTES", 1_000_000)
    bomb = gzip.compress(bytes(5_000_000))
    with pytest.raises(BadFile, match="more than 1,000,000 bytes"):
        latex.read(bomb, "2611.1v1")
    monkeypatch.setattr(unpack, "MOST_FILES", 3)
    with pytest.raises(BadFile, match="more than 3 files"):
        latex.read(archive(*((f"{i}.tex", b"", b"0") for i in range(5))), "2611.1v1")


def test_links_and_paths_outside_are_left_out_and_the_rest_is_read():
    content = archive(
        ("main.tex", BODY % FIGURE, b"0"), ("../a.png", b"x", b"0"), ("/a.png", b"x", b"0"), ("a.png", b"", b"2")
    )
    read = latex.read(content, "2611.1v1")
    assert [each.caption for each in read.elements] == ["One."]
    reasons = " ".join(each.reason for each in read.findings)
    assert "'../a.png' lies outside" in reasons
    assert "'/a.png' lies outside" in reasons
    assert "'a.png' is a link" in reasons
    assert "'a.png' is not in the archive" in reasons


@pytest.mark.parametrize("macro", [rb"\newcommand{\x}{a\x}", rb"\def\x{\y\y}\def\y{\x\x}"])
def test_endless_macros(macro):
    text = BODY % (macro + rb"\begin{figure}\caption{A \x.}\end{figure}\begin{figure}\caption{B.}\end{figure}")
    read = latex.read(text, "2611.1v1")
    assert read.elements[1].caption == "B."
    assert "has no end" in read.findings[0].reason


def test_a_long_caption_is_cut_and_any_script_is_read():
    right_to_left = "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd"
    text = BODY % b"\\begin{figure}\\caption{%s}\\end{figure}" % (right_to_left * 2_000).encode()
    (element,) = latex.read(text, "2611.1v1").elements
    assert element.caption.startswith(right_to_left)
    assert 9_000 < len(element.caption) <= 10_010


def test_postscript_pictures_are_named():
    content = archive(("main.tex", BODY % FIGURE.replace(b"a.png", b"a"), b"0"), ("a.eps", b"%!PS", b"0"))
    assert "PostScript" in latex.read(content, "2611.1v1").findings[0].reason


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "0 bytes"),
        (b"%PDF-1.5 nothing", "cannot be opened"),
        (pdf_of([Page()] * 2_000), "2,000 pages"),
        (b"<html>", "cannot be opened"),
    ],
    ids=range(4),
)
def test_pdfs(content, reason):
    with pytest.raises(BadFile, match=reason):
        pdf.read(content, "2611.1v1")


def test_an_encrypted_pdf():
    with pytest.raises(BadFile, match="encrypted; it needs a password"):
        pdf.read(encrypted(), "2611.1v1")


def encrypted():
    """A file with an encryption dictionary that no empty password opens."""
    key = b"<" + b"41" * 32 + b">"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count 0 /Kids [] >>",
        b"<< /Filter /Standard /V 1 /R 2 /Length 40 /P -4 /O " + key + b" /U " + key + b" >>",
    ]
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, each in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    name = b"<" + b"00" * 16 + b">"
    end = b"trailer << /Size 4 /Root 1 0 R /Encrypt 3 0 R /ID [%s %s] >>\nstartxref\n%d\n%%%%EOF\n"
    return bytes(out) + b"xref\n0 4\n0000000000 65535 f \n" + table + end % (name, name, len(out))


@pytest.mark.parametrize(("content", "reason"), [(b"", "0 bytes"), (b"<p>short</p>", "stub")])
def test_pages(content, reason):
    with pytest.raises(BadFile, match=reason):
        html.read(content, "2611.1v1")


def test_a_picture_of_30000_by_30000_is_an_error():
    def chunk(kind, content):
        return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")

    size = (30_000).to_bytes(4, "big")
    head = chunk(b"IHDR", size + size + b"\x08\x00\x00\x00\x00")
    with pytest.raises(BadFile, match="pixels"):
        pictures.opened(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", b"") + chunk(b"IEND", b""), "a.png")
    with pytest.raises(BadFile, match="not a picture file"):
        pictures.opened(b"nothing", "a.png")


def test_a_run_goes_on_and_lists_the_paper():
    class Broken:
        def get(self, url, **_):
            if "/html/" in url:
                raise NotFetched(url, "the server answered 404")
            return Got(url, b"" if "/src/" in url else b"%PDF-1.5", "")

    paper = Paper(
        id="2611.1", version=1, title="T", authors=(), categories=(), created="", updated="", licence="", source="oai"
    )
    found, findings = documents.read(Broken(), paper, Addresses.at("http://a"), Memory())
    assert found == ()
    assert [each.step for each in findings] == ["latex", "fetch", "pdf"]
    assert all(each.paper == "2611.1v1" and each.reason for each in findings)
