import pytest

from lleval_jax.errors import BadInput
from lleval_jax.live import licences


@pytest.mark.parametrize(
    ("url", "family"),
    [
        ("http://creativecommons.org/licenses/by/4.0/", "CC-BY"),
        ("https://creativecommons.org/licenses/by/4.0", "CC-BY"),
        ("https://www.CreativeCommons.org/licenses/by-sa/4.0/", "CC-BY-SA"),
        ("http://creativecommons.org/publicdomain/zero/1.0/", "CC0"),
        ("http://creativecommons.org/licenses/publicdomain/", "public-domain"),
    ],
)
def test_what_may_be_shown_again(url, family):
    found = licences.allowed(url)
    assert found.keep
    assert found.licence.family == family


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "no licence is stated"),
        ("  ", "no licence is stated"),
        ("http://arxiv.org/licenses/nonexclusive-distrib/1.0/", "no right to redistribute"),
        ("http://arxiv.org/licenses/assumed-1991-2003/", "no right to redistribute"),
        ("http://creativecommons.org/licenses/by-nc-nd/4.0/", "forbids changed copies"),
        ("http://creativecommons.org/licenses/by-nc-sa/4.0/", "not among the licences"),
        ("http://creativecommons.org/licenses/by/9.0/", "not known"),
        ("http://creativecommons.org.example.com/licenses/by/4.0/", "not known"),
        ("http://example.com/creativecommons.org/licenses/by/4.0/", "not known"),
        ("ftp://creativecommons.org/licenses/by/4.0/", "not known"),
        ("CC BY 4.0", "not known"),
        ("http://[", "not known"),
    ],
)
def test_what_may_not(url, reason):
    found = licences.allowed(url)
    assert not found.keep
    assert reason in found.reason


def test_more_can_be_allowed_but_no_crop_of_what_forbids_changes():
    assert licences.allowed("http://creativecommons.org/licenses/by-nc-sa/4.0/", ["CC-BY-NC-SA"]).keep
    assert not licences.allowed("http://creativecommons.org/licenses/by-nc-nd/4.0/", ["CC-BY-NC-ND"]).keep
    assert not licences.allowed("http://arxiv.org/licenses/nonexclusive-distrib/1.0/", ["arXiv-nonexclusive"]).keep


def test_a_family_that_is_none():
    with pytest.raises(BadInput, match="did you mean 'CC-BY'"):
        licences.allowed("", ["CC BY"])
