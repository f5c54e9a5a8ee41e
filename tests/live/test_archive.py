"""The fetcher against the small arXiv of the example: windows, licences, tokens that run out, nothing fetched twice."""

import pytest
from loopback import Clock

from lleval_jax.errors import BadInput
from lleval_jax.live import archive, licences, papers
from lleval_jax.live.example.corpus import SIZE, corpus
from lleval_jax.live.example.server import Archive
from lleval_jax.live.fetch import DELAY, Fetcher, NotFetched

EVERY = ("cs", "eess", "q-bio", "stat", "physics", "hep-th")
WINDOWS = [("2026-11-01", "2026-11-30"), ("2026-10-31", "2026-10-31"), ("2003-01-01", "2003-12-31")]


def harvested(server, first, last, categories=EVERY, **how):
    clock = Clock()
    with Fetcher(clock=clock, sleep=clock.sleep, now=clock, **how) as fetcher:
        return archive.harvest(fetcher, categories, first, last, archive.Addresses.at(server.url))


@pytest.mark.parametrize("later", [False, True])
def test_a_window_is_of_first_days_whatever_changed_since(later):
    with Archive(later=later, page=300) as server:
        for first, last in WINDOWS:
            found = harvested(server, first, last, ("cs", "physics", "hep-th"))
            expected = {
                record.id
                for record in corpus()
                if first <= record.created <= last
                and not record.status
                and any(c[:2] == "cs" or c.startswith(("hep", "physics")) for c in record.categories)
            }
            assert {paper.id for paper in found.papers} == expected
            assert len(expected) >= 3


def test_every_licence_is_judged_as_in_the_table_made_by_hand():
    with Archive(page=200) as server:
        found = harvested(server, "2000-01-01", "2027-01-01")
    truth = {record.id: record for record in corpus()}
    decided = {paper.id: licences.allowed(paper.licence).keep for paper in found.papers}
    gone = {finding.paper for finding in found.findings}
    assert gone == {record.id for record in truth.values() if record.status}
    assert len(decided) + len(gone) == SIZE == 400
    assert decided == {id: record.keep for id, record in truth.items() if not record.status}
    for paper in found.papers:
        assert paper.version == len(truth[paper.id].versions)
        assert paper.categories == truth[paper.id].categories


def test_busy_servers_and_old_tokens_change_nothing():
    with Archive(page=400) as server:
        calm = harvested(server, "2026-11-01", "2026-11-30", ("stat.ML",))
    with Archive(page=10, busy=4, expires=5) as server:
        found = harvested(server, "2026-11-01", "2026-11-30", ("stat.ML",))
        assert any("resumptionToken" in target for target in server.asked)
    assert found == calm
    assert len(found.papers) > 10


class Forgetful(Archive):
    """No token lasts until it is used."""

    def answer(self, target):
        self.expires = self._tokens + 1
        return super().answer(target)


def test_a_token_that_always_runs_out_is_a_finding():
    with Forgetful(page=5) as server:
        found = harvested(server, "2026-11-01", "2026-11-30", ("cs.LG",))
    assert found.papers == ()
    assert "badResumptionToken" in found.findings[0].reason


def test_requests_keep_their_distance_and_are_not_repeated():
    seen, clock, times = {}, Clock(), []
    with Archive(page=20, busy=5) as server:
        with Fetcher(clock=clock, sleep=clock.sleep, now=clock, seen=seen) as fetcher:
            ask = fetcher._asked
            fetcher._asked = lambda address: times.append(clock.now) or ask(address)
            papers = archive.harvest(fetcher, ["cs.LG"], "2026-11-01", "2026-11-30", archive.Addresses.at(server.url))
            whole = [archive.document(fetcher, p, "pdf", archive.Addresses.at(server.url)) for p in _with(papers)]
            first, sent = fetcher.fetched, server.sent
            again = [archive.document(fetcher, p, "pdf", archive.Addresses.at(server.url)) for p in _with(papers)]
            assert server.sent - sent <= 4 * sum(target.startswith("/pdf") for target in server.asked)  # b"busy"
    assert all(later - earlier >= DELAY for earlier, later in zip(times, times[1:], strict=False))
    assert 7.0 in clock.slept
    assert [each.content for each in again] == [each.content for each in whole]
    assert all(each.known for each in again)
    assert len(whole) == 14
    assert first > 10_000


def _with(found):
    truth = {record.id: record.content for record in corpus()}
    return [paper for paper in found.papers if truth[paper.id] is not None]


def test_what_is_not_there_is_said():
    with Archive() as server, Fetcher(delay=0) as fetcher:
        (paper,) = papers.oai(_asked(fetcher, server, "oai:arXiv.org:2611.00001")).papers
        with pytest.raises(NotFetched, match="404"):
            archive.document(fetcher, paper, "src", archive.Addresses.at(server.url))


def _asked(fetcher, server, identifier):
    asked = {"verb": "GetRecord", "metadataPrefix": "arXiv", "identifier": identifier}
    return fetcher.get(f"{server.url}/oai", **asked).content


def test_search_and_day_agree_with_the_harvest():
    with Archive() as server:
        with Fetcher(delay=0) as fetcher:
            query = "cat:cs.LG AND submittedDate:[202611010000 TO 202611302359]"
            atom = papers.atom(fetcher.get(f"{server.url}/api/query", search_query=query, max_results=500).content)
            day = papers.rss(fetcher.get(f"{server.url}/rss/cs.LG").content)
        found = harvested(server, "2026-11-01", "2026-11-30", ["cs.LG"])
    kept = {paper.id for paper in found.papers}
    withdrawn = {finding.paper for finding in found.findings}
    assert {paper.id for paper in atom.papers} - withdrawn == kept
    both = papers.merged([*found.papers, *day.papers, *atom.papers])
    assert {p.id: p.licence for p in both if p.id in kept} == {p.id: p.licence for p in found.papers}


def test_bad_windows():
    with Fetcher() as fetcher:
        with pytest.raises(BadInput, match="before it begins"):
            archive.harvest(fetcher, ["cs"], "2026-12-01", "2026-11-01")
        with pytest.raises(BadInput, match="name a category"):
            archive.harvest(fetcher, [], "2026-11-01", "2026-12-01")
