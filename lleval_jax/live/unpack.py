"""The source of a paper as arXiv serves it: a gzipped tar, one gzipped TeX file, or a PDF. Nothing goes to the disk."""

import io
import tarfile
import zlib

from lleval_jax.errors import BadFile
from lleval_jax.live.values import Finding

MOST_BYTES = 300_000_000  # unpacked
MOST_FILES = 5_000


def unpacked(content: bytes, paper: str) -> tuple[dict[str, bytes], tuple[Finding, ...]]:
    """The files by name, and what was left out of them: links, and names outside of the archive.

    Raises:
        BadFile: it is empty, a PDF, damaged, or unpacks to more than 300 MB or 5,000 files.
    """
    if not content:
        raise BadFile(f"{paper}: the source has 0 bytes")
    if content[:5] == b"%PDF-":
        raise BadFile(f"{paper}: the source is a PDF; there is no LaTeX to read")
    if content[:2] == b"\x1f\x8b":
        content = _inflated(content, paper)
    if len(content) > 262 and content[257:262] == b"ustar":
        return _files(content, paper)
    if b"\\" not in content[:100_000]:
        raise BadFile(f"{paper}: the source is neither an archive nor a TeX file")
    return {"main.tex": content}, ()


def _inflated(content: bytes, paper: str) -> bytes:
    """What a gzip file holds, unless that is too much."""
    machine = zlib.decompressobj(wbits=31)
    try:
        found = machine.decompress(content, MOST_BYTES + 1)
    except zlib.error as error:
        raise BadFile(f"{paper}: the source is damaged: {error}") from error
    if len(found) > MOST_BYTES:
        raise BadFile(f"{paper}: the source unpacks to more than {MOST_BYTES:,} bytes; it is not read")
    if not machine.eof:
        raise BadFile(f"{paper}: the source is cut short after {len(content):,} bytes")
    return found


def _files(content: bytes, paper: str) -> tuple[dict[str, bytes], tuple[Finding, ...]]:
    files, left_out, size = dict[str, bytes](), list[Finding](), 0
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
            for count, member in enumerate(archive):
                if count >= MOST_FILES:
                    raise BadFile(f"{paper}: the source has more than {MOST_FILES:,} files; it is not read")
                name = member.name.removeprefix("./")
                if member.isdir():
                    continue
                if name.startswith("/") or ".." in name.split("/") or "\\" in name:
                    left_out.append(Finding(paper=paper, step="latex", reason=f"{name[:100]!r} lies outside; left out"))
                elif member.issparse() or (size := size + member.size) > MOST_BYTES:
                    raise BadFile(f"{paper}: the source has files of more than {MOST_BYTES:,} bytes; it is not read")
                elif not member.isfile():
                    left_out.append(Finding(paper=paper, step="latex", reason=f"{name[:100]!r} is a link; left out"))
                elif (handle := archive.extractfile(member)) is not None:
                    files[name] = handle.read()
    except tarfile.TarError as error:
        raise BadFile(f"{paper}: the source is a damaged archive: {error}") from error
    return files, tuple(left_out)
