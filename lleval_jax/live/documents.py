"""The documents of a paper, fetched and read by all readers that can; what cannot be had or read is a finding."""

from collections.abc import Callable
from typing import Literal

from lleval_jax.errors import BadInput
from lleval_jax.live import html, latex, pdf
from lleval_jax.live.archive import Addresses, document
from lleval_jax.live.elements import agreed
from lleval_jax.live.fetch import Blobs, Fetcher, NotFetched
from lleval_jax.live.reading import Read
from lleval_jax.live.values import Element, Finding, Paper

Form = Literal["src", "html", "pdf"]
STEPS: dict[Form, str] = {"src": "latex", "html": "html", "pdf": "pdf"}


def read(
    fetcher: Fetcher, paper: Paper, addresses: Addresses, blobs: Blobs, /
) -> tuple[tuple[Element, ...], tuple[Finding, ...]]:
    """The elements on which two readers agree, their pictures put into `blobs`; and what went wrong.

    Args:
        fetcher: asks for the files.
        paper: whose version is read.
        addresses: where they are.
        blobs: keeps pictures by their sha256.
    """
    reads, findings = list[Read](), list[Finding]()

    def latex_read(content: bytes) -> Read:
        return latex.read(content, paper.name)

    def html_read(content: bytes) -> Read:
        files = dict[str, bytes]()
        for name in html.sources(content, paper.name):
            try:
                files[name] = fetcher.get(f"{addresses.files}/html/{paper.name}/{name}").content
            except NotFetched as error:
                findings.append(Finding(paper=paper.name, step="fetch", reason=str(error)))
        return html.read(content, paper.name, files)

    def pdf_read(content: bytes) -> Read:
        return pdf.read(content, paper.name)

    readers: dict[Form, Callable[[bytes], Read]] = {"src": latex_read, "html": html_read, "pdf": pdf_read}
    for form, reader in readers.items():
        try:
            reads.append(reader(document(fetcher, paper, form, addresses).content))
        except NotFetched as error:
            findings.append(Finding(paper=paper.name, step="fetch", reason=str(error)))
        except BadInput as error:
            findings.append(Finding(paper=paper.name, step=STEPS[form], reason=str(error)))
        except Exception as error:  # what none has met yet in a document must not end a run of many
            reason = f"the reader failed: {type(error).__name__}: {str(error)[:200]}"
            findings.append(Finding(paper=paper.name, step=STEPS[form], reason=reason))
    whole = agreed(reads, paper.name)
    for content in whole.images.values():
        blobs.put(content)
    return whole.elements, tuple(dict.fromkeys((*findings, *whole.findings)))
