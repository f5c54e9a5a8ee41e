"""Searches for shared bases that read from disk in blocks, run on many devices, or were stopped in the middle."""

import shutil
import signal
import subprocess
import sys
import textwrap

import jax
import numpy as np
import pytest
from nn.test_compress_folders import folder, put  # noqa: F401  (a fixture)

from lleval_jax.errors import BadFile, BadInput
from lleval_jax.training.compress import fit
from lleval_jax.training.compress.fit import Search, compress
from lleval_jax.training.compress.folders import read_adapters


def updates(shared, name):
    return {module: b @ a for module, (a, b) in shared.factors(name).items()}


def same(one, two):
    """Equal up to what turns a basis."""
    assert np.allclose(one.error, two.error, atol=1e-5)
    for name in one.names:
        ours, theirs = updates(one, name), updates(two, name)
        for module, value in ours.items():
            assert np.allclose(value, theirs[module], atol=1e-4 * np.abs(value).max())


def twice(folder, method):  # noqa: F811
    """From memory, and from disk two adapters at a time."""
    found = read_adapters(folder)
    one = fit._bytes(found, "model.layers.0.self_attn.q_proj") / len(found.names)
    return [compress(found, 2, method=method, search=Search(starts=1, memory=room)) for room in (1e9, 2.5 * one)]


@pytest.mark.parametrize("method", ["full", "svd"])
def test_blocks_from_disk_give_what_memory_gives(folder, method):  # noqa: F811
    same(*twice(folder, method))


@pytest.mark.slow
def test_blocks_from_disk_give_diagonal_cores_as_good(folder):  # noqa: F811
    """Where one adapter gains what another loses, rounding decides between them; the sum is the same."""
    memory, disk = twice(folder, "diag")
    assert np.allclose(memory.error.mean(0), disk.error.mean(0), atol=1e-5)


def test_what_memory_is_too_small_for_is_said(folder):  # noqa: F811
    found = read_adapters(folder)
    with pytest.raises(BadInput, match="q_proj of one adapter takes 176 bytes; the memory is 100 bytes"):
        compress(found, 2, search=Search(memory=100))
    with pytest.raises(BadInput, match="all adapters, 1,824 bytes; the memory is 1,000 bytes"):
        compress(found, 2, clusters=2, search=Search(memory=1000))


@pytest.mark.slow
def test_eight_devices_find_what_one_finds(folder, monkeypatch):  # noqa: F811
    found = read_adapters(folder)
    assert len(jax.devices()) == 8
    spread = fit._over_devices(found.stack(found.groups()[12, 10]))
    assert len(spread.out.sharding.device_set) == 8
    many = compress(found, 3, search=Search(starts=1))
    first = jax.devices()[:1]
    monkeypatch.setattr(jax, "devices", lambda *_: first)
    same(many, compress(found, 3, search=Search(starts=1)))


STOPPED = """
    import os, signal, sys
    from lleval_jax.training.compress.fit import Search, compress
    from lleval_jax.training.compress.folders import read_adapters

    def tell(progress):
        if progress.word == "finding bases" and progress.done:  # the first modules are kept
            os.kill(os.getpid(), signal.SIGKILL)

    compress(read_adapters(sys.argv[1]), 2, search=Search(starts=1, memory=2000), keep=sys.argv[2], tell=tell)
"""


@pytest.mark.slow
def test_a_killed_search_goes_on_and_gives_the_same_bits(folder, tmp_path):  # noqa: F811
    found, search = read_adapters(folder), Search(starts=1, memory=2000)
    program = [sys.executable, "-c", textwrap.dedent(STOPPED), str(folder), str(tmp_path / "parts")]
    assert subprocess.run(program, check=False).returncode == -signal.SIGKILL
    done = {each.name: each.read_bytes() for each in (tmp_path / "parts").glob("modules-*")}
    assert list(done) == ["modules-0.safetensors"]
    resumed = compress(found, 2, search=search, keep=tmp_path / "parts")
    straight = compress(found, 2, search=search, keep=tmp_path / "other")
    assert (tmp_path / "parts" / "modules-0.safetensors").read_bytes() == done["modules-0.safetensors"]
    for name, module in straight.modules.items():
        for part, other in zip(module, resumed.modules[name], strict=True):
            assert np.array_equal(part, other)
    assert np.array_equal(straight.error, resumed.error)


@pytest.mark.slow
def test_parts_of_another_search_or_damaged_ones_are_refused(folder, tmp_path):  # noqa: F811
    found, search, place = read_adapters(folder), Search(starts=1), tmp_path / "parts"
    compress(found, 2, search=search, keep=place)
    with pytest.raises(BadInput, match="another run: rank is 2 there and 1 here"):
        compress(found, 1, search=search, keep=place)
    other = tmp_path / "adapters"
    shutil.copytree(folder, other)
    shutil.rmtree(other / "task-3")
    put(other, "task-3", 33, rank=2, basis=3)
    with pytest.raises(BadInput, match=r"another run: adapters.task-3 is \w+\.\.\. there and \w+\.\.\. here"):
        compress(read_adapters(other), 2, search=search, keep=place)
    file = place / "modules-0.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(BadFile, match="modules-0.safetensors"):
        compress(found, 2, search=search, keep=place)
