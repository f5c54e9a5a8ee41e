"""Methods that other packages bring, what a bank must have for a method, and widths learned for one that is new."""

import dataclasses
import os
import subprocess
import sys

import numpy as np
import packages
import pytest
import worlds

import lleval_jax as ll
from lleval_jax.errors import BadInput, BankMismatch, DataWarning
from lleval_jax.estimators import tiny
from lleval_jax.estimators.tiny import anchors

ENTRY = "[lleval_jax.methods]\n{key} = {name}:METHOD\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Installs the package of one method for this test."""

    def installed(key="mine", code=packages.METHOD):
        name = f"method_{tmp_path.name}"
        packages.install(tmp_path / "site", name, code, ENTRY.format(key=key, name=name))
        monkeypatch.syspath_prepend(tmp_path / "site")
        monkeypatch.delitem(sys.modules, name, raising=False)

    return installed


def asked():
    return anchors.anchors_only(worlds.new(), bank=worlds.bank())


def test_a_package_brings_a_method(package):
    bank = worlds.bank()
    package()
    assert list(tiny.methods()) == [*tiny.METHODS, "mine"]
    found = ll.tiny.estimate(asked(), bank=bank, by="mine")
    np.testing.assert_allclose(found.value, asked().scores.sum(1) / worlds.K, rtol=1e-6)
    np.testing.assert_allclose(found.std_error, 0.01)  # the bank was calibrated without it
    assert ll.cite(found) == "@book{mine2026, title = {Mine}}"
    with pytest.raises(BadInput, match="method 'mien' is not known; there are auto, .*, mine; did you mean 'mine'"):
        ll.tiny.estimate(asked(), bank=bank, by="mien")
    without = dataclasses.replace(bank, calibration=None)
    with pytest.raises(BankMismatch, match="keeps fewer than 8 calibration models, which method 'mine' learns from"):
        ll.tiny.estimate(asked(), bank=without, by="mine")


def test_calibration_learns_how_wide_a_new_method_is(package):
    """And nothing else changes. The method says 0.01, where twelve answers are off by far more."""
    was = worlds.bank()
    package()
    with pytest.warns(DataWarning, match="models for calibration"):
        bank = anchors.choose(worlds.items(), responses=worlds.known(), k=worlds.K, name="tests", seed=3)
    assert list(bank.misfit.width) == ["weighted", "pirt", "mine", "head"]
    for name, width in was.misfit.width.items():
        np.testing.assert_array_equal(bank.misfit.width[name], width)
    found = ll.tiny.estimate(asked(), bank=bank, by="mine", groups=True)
    np.testing.assert_allclose(
        found.std_error.reshape(-1, 3), np.tile(0.01 * bank.misfit.width["mine"], (worlds.NEW, 1))
    )
    assert (bank.misfit.width["mine"] > 3).all()


def test_help_names_what_packages_bring(package):
    package()
    words = [sys.executable, "-c", "from lleval_jax.cli.main import main; main()", "estimate", "--help"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert "mixed, mine" in " ".join(done.stdout.split())


def test_a_name_that_is_taken_is_left_out(package):
    package("pirt")
    with pytest.warns(RuntimeWarning, match=r"method_.* 1.0 brings 'pirt', which there is already; it was left out"):
        assert tiny.methods() == tiny.METHODS


def test_what_is_no_method_is_left_out(package):
    package(code="METHOD = max\n")
    with pytest.warns(RuntimeWarning, match="it is a builtin_function_or_method, not a Method"):
        assert tiny.methods() == tiny.METHODS


def test_a_bank_without_what_a_method_needs_names_those_it_has_enough_for():
    bank = dataclasses.replace(worlds.bank(), learned=None)
    with pytest.raises(BankMismatch, match="'mixed' learns from. Pass by='weighted' or 'pirt' or 'gpirt' or 'head'"):
        ll.tiny.estimate(asked(), bank=bank, by="mixed")
