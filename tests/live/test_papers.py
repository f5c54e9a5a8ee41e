import dataclasses
import itertools

import pytest

from lleval_jax.errors import BadFile, BadInput
from lleval_jax.live import papers
from lleval_jax.live.values import Paper

ATOM = b"""<feed xmlns="http://www.w3.org/2005/Atom" xmlns:o="http://a9.com/-/spec/opensearch/1.1/"
 xmlns:arxiv="http://arxiv.org/schemas/atom"><title>arXiv Query</title><o:totalResults>41</o:totalResults><entry>
 <id>http://arxiv.org/abs/2410.00001v2</id><updated>2024-10-20T01:00:00Z</updated>
 <published>2024-10-01T01:30:00+02:00</published><title>On  a
  title</title><author><name>A. One</name></author><author><name>B. Two</name></author>
 <arxiv:primary_category term="cs.CV"/><category term="cs.LG"/><category term="cs.CV"/></entry></feed>"""
RAW = b"""<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/"><ListRecords>
 <record><header><identifier>oai:arXiv.org:2410.00001</identifier><datestamp>2024-12-01</datestamp></header>
 <metadata><arXivRaw xmlns="http://arxiv.org/OAI/arXivRaw/"><id>2410.00001</id>
 <version version="v1"><date>Mon, 30 Sep 2024 23:30:00 GMT</date></version>
 <version version="v2"><date>Sun, 20 Oct 2024 01:00:00 GMT</date></version>
 <title>On a title</title><authors>A. One, B. Two and C. Three</authors><categories>cs.CV cs.LG</categories>
 <license>http://creativecommons.org/licenses/by/4.0/</license></arXivRaw></metadata></record>
 <record><header status="deleted"><identifier>oai:arXiv.org:math/0301001</identifier></header></record>
 <record><header><identifier>oai:arXiv.org:2410.00002</identifier></header><metadata>
 <arXiv xmlns="http://arxiv.org/OAI/arXiv/"><id>2410.00002</id><created>2024-10-02</created>
 <authors><author><keyname>One</keyname><forenames>A.</forenames></author></authors><title>T</title>
 <categories>cs.LG</categories><comments>This paper has been withdrawn</comments></arXiv></metadata></record>
 <resumptionToken completeListSize="17">next|2</resumptionToken></ListRecords></OAI-PMH>"""
RSS = b"""<rss xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>cs.CV</title><item><title>On a title</title>
 <link>https://arxiv.org/abs/2410.00001</link><guid isPermaLink="false">oai:arXiv.org:2410.00001v1</guid>
 <category>cs.CV</category><category>cs.LG</category><pubDate>Tue, 01 Oct 2024 00:00:00 -0400</pubDate>
 <dc:rights>http://creativecommons.org/licenses/by-sa/4.0/</dc:rights><dc:creator>A. One, B. Two</dc:creator>
 </item></channel></rss>"""


def test_atom():
    page = papers.atom(ATOM)
    (paper,) = page.papers
    assert page.total == 41
    assert (paper.id, paper.version, paper.title) == ("2410.00001", 2, "On a title")
    assert (paper.created, paper.updated) == ("2024-09-30", "2024-10-20")  # in UTC
    assert paper.categories == ("cs.CV", "cs.LG")
    assert paper.licence == ""


def test_oai():
    page = papers.oai(RAW)
    (paper,) = page.papers
    assert (paper.id, paper.version, paper.created, paper.updated) == ("2410.00001", 2, "2024-09-30", "2024-10-20")
    assert paper.authors == ("A. One", "B. Two", "C. Three")
    assert page.left_out == (("math/0301001", "deleted from the archive"), ("2410.00002", "withdrawn"))
    assert (page.token, page.total) == ("next|2", 17)


def test_rss_does_not_say_when_a_paper_was_made():
    (paper,) = papers.rss(RSS).papers
    assert (paper.version, paper.licence[-10:], paper.created) == (1, "by-sa/4.0/", "")
    assert not papers.within(paper, "2024-01-01", "2025-01-01")


def test_an_error_of_the_archive_is_named_and_no_match_is_an_empty_page():
    error = b'<OAI-PMH xmlns="http://www.openarchives.org/OAI/2.0/"><error code="%s">old</error></OAI-PMH>'
    assert papers.oai(error % b"noRecordsMatch").papers == ()
    with pytest.raises(papers.Refused, match="badResumptionToken: old"):
        papers.oai(error % b"badResumptionToken")


@pytest.mark.parametrize("read", [papers.atom, papers.oai, papers.rss])
def test_half_an_answer(read):
    with pytest.raises(BadFile, match="not whole"):
        read(ATOM[:300])


def test_entities_are_not_expanded():
    bomb = b'<!DOCTYPE a [<!ENTITY x "boom"><!ENTITY y "&x;&x;">]>' + ATOM.replace(b"On  a", b"On &y;")
    assert "boom" not in papers.atom(bomb).papers[0].title


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("http://arxiv.org/abs/math.AG/0301001v2", ("math/0301001", 2)),
        ("oai:arXiv.org:2410.10783", ("2410.10783", None)),
        ("2410.10783v10", ("2410.10783", 10)),
        ("hep-th/9901001", ("hep-th/9901001", None)),
        ("math.AG/0301001.pdf", ("math/0301001", None)),
    ],
)
def test_identity(text, found):
    assert papers.identity(text) == found


def test_no_identity():
    with pytest.raises(BadInput, match="no arXiv id"):
        papers.identity("10.1000/182")


def test_feeds_are_merged_by_id_in_any_order():
    found = [papers.atom(ATOM).papers[0], papers.oai(RAW).papers[0], papers.rss(RSS).papers[0]]
    results = {papers.merged(order) for order in itertools.permutations(found)}
    assert len(results) == 1
    ((paper,),) = results
    assert (paper.licence[-7:], paper.version, paper.source) == ("by/4.0/", 2, "oai")


def test_a_version_is_taken_from_another_feed_only_for_the_same_day():
    whole = papers.oai(RAW).papers[0]
    bare = dataclasses.replace(whole, version=None)
    atom = papers.atom(ATOM).papers[0]
    assert papers.merged([bare, atom])[0].version == 2
    assert papers.merged([bare, dataclasses.replace(atom, updated="2024-11-11")])[0].version is None
    assert isinstance(whole, Paper)
