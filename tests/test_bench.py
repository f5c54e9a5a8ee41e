"""The studies under bench/: the registry, the settings of the command line, and the pages made from results."""

import argparse
import importlib
import pathlib

import numpy as np
import pytest
from scipy.stats import binom

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture
def kit(monkeypatch):
    """A module of the kit, by name."""
    monkeypatch.syspath_prepend(ROOT)
    return lambda name: importlib.import_module(f"bench.kit.{name}")


def test_every_study_takes_its_settings_from_the_command_line(kit):
    """Also the words of its smoke run are settings that it has."""
    settings = kit("settings")
    for entry in kit("entries").ENTRIES.values():
        kind = entry.module().Settings
        parser = argparse.ArgumentParser()
        settings.add_to(parser, kind)
        assert settings.made(kind, parser.parse_args([])) == kind()
        assert kind(**entry.small) != kind()
        assert callable(entry.module().study)


def test_words_are_read_as_the_types_of_the_fields(kit):
    """Tuples, numbers that may be left out, yes and no, one of some words."""
    settings = kit("settings")
    kind = kit("entries").ENTRIES["adaptive.items"].module().Settings
    parser = argparse.ArgumentParser()
    settings.add_to(parser, kind)
    found = settings.made(kind, parser.parse_args(["--sets", "arc_A", "alpaca", "--known", "7", "--no-fixed"]))
    assert found == kind(sets=("arc_A", "alpaca"), known=7, fixed=False)
    settings.add_to(chosen := argparse.ArgumentParser(), kit("entries").ENTRIES["irt.contest"].module().Settings)
    with pytest.raises(SystemExit, match="2"):
        chosen.parse_args(["--who", "nobody"])


def test_pages_are_those_of_the_results(kit, capsys):
    """`python -m bench table --check`."""
    assert kit("front").write(check=True) == 0, capsys.readouterr().out


def test_a_page_that_was_changed_is_named(kit, monkeypatch, capsys, tmp_path):
    """And written anew, after which nothing differs."""
    front = kit("front")
    page = tmp_path / "bench" / "README.md"
    page.parent.mkdir()
    page.write_text("old")
    monkeypatch.setattr(front, "BENCH", tmp_path / "bench")
    monkeypatch.setattr(front, "pages", lambda: {page: "new"})
    assert front.write(check=True) == 1
    assert "bench/README.md is not up to date" in capsys.readouterr().out
    assert page.read_text() == "old"
    assert front.write(check=False) == 0
    assert page.read_text() == "new"
    assert front.write(check=True) == 0


@pytest.mark.parametrize(("held", "count"), [(0, 5), (5, 5), (17, 20)])
def test_bounds_leave_a_fortieth_on_each_side(kit, held, count):
    """Of a binomial with the bound as its chance."""
    low, high = kit("coverage").bounds(held, count)
    assert low == 0 if held == 0 else binom.sf(held - 1, count, low) == pytest.approx(0.025)
    assert high == 1 if held == count else binom.cdf(held, count, high) == pytest.approx(0.025)


def test_coverage_counts_what_lies_inside(kit):
    """Two worlds of four and of two estimates; one of the six lies outside."""
    coverage = kit("coverage")

    def method(world):
        truth = np.full(world, 0.5)
        value = truth + 0.1
        low = np.stack([value - 0.2])
        low[0, 0] += 0.15 * (world == 4)
        return {"score": coverage.Held(truth, value, low, value[None] + 0.2)}

    found = coverage.coverage(lambda seed: 4 - 2 * seed, method, range(2))["score"]
    assert found["of"] == 6
    assert found["mae"] == pytest.approx(10)
    share = 5 / 6
    error = np.sqrt((3 - 4 * share) ** 2 + (2 - 2 * share) ** 2) / 6
    assert found["95%"]["share"] == pytest.approx(share, abs=1e-4)
    assert found["95%"]["error"] == pytest.approx(error, abs=1e-4)
    assert found["95%"]["width"] == pytest.approx(100 * (6 * 0.4 - 0.15) / 6, abs=1e-4)


def test_a_record_keeps_what_is_there_and_says_where_it_was_made(kit, tmp_path):
    """Other parts stay; a part has a machine and a date of its own."""
    results = kit("results")
    (tmp_path / "one.json").write_text('{"old": 1}')
    record = results.Record(tmp_path / "one.json")
    record.part("new", {"value": 2})
    content = results.Record(tmp_path / "one.json").content
    assert content["old"] == 1
    assert content["new"]["value"] == 2
    assert {"machine", "commit", "date", "command", "took"} <= set(content["new"])
    assert [path.name for path in tmp_path.iterdir()] == ["one.json"]


def test_the_two_checkouts_must_hold_the_package(kit, tmp_path):
    """Not one that is installed, which would be compared with itself."""
    pair = kit("pair")
    with pytest.raises(RuntimeError, match="holds no lleval_jax: another one would be timed"):
        pair.turn(tmp_path, "prompts", str(tmp_path))
