"""From the archive's address to elements, and what questions they give."""

from lleval_jax.live import archive, documents, licences
from lleval_jax.live.example.corpus import corpus
from lleval_jax.live.example.server import Archive
from lleval_jax.live.fetch import Fetcher, Memory

WINDOW = ("2026-11-03", "2026-11-05")


def test_papers_of_the_example_are_read_whole():
    truth = {record.id: record for record in corpus()}
    with Archive(page=400) as server, Fetcher(delay=0) as fetcher:
        addresses = archive.Addresses.at(server.url)
        papers = archive.harvest(fetcher, ["cs.LG"], *WINDOW, addresses).papers
        wanted = [paper for paper in papers if licences.allowed(paper.licence).keep]
        whole = [paper for paper in wanted if truth[paper.id].content is not None][:1]
        bare = [paper for paper in wanted if truth[paper.id].content is None][:1]
        blobs = Memory()
        read = [documents.read(fetcher, paper, addresses, blobs) for paper in (*whole, *bare)]
    assert len(whole) == 1
    for elements, findings in read[:1]:
        assert findings == ()
        assert [each.kind for each in elements].count("table") == 2
        assert [each.kind for each in elements].count("figure") == 3
        assert all(each.image in blobs for each in elements)
        assert all(panel.image in blobs for each in elements for panel in each.panels)
    for elements, findings in read[1:]:
        assert elements == ()
        assert {each.step for each in findings} == {"fetch"}
