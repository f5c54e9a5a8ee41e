"""Folders of adapters in shared bases: what is read, refused, found, added, written and read again."""

import json
import pathlib
import shutil

import numpy as np
import pytest
import safetensors.numpy

from lleval_jax.errors import BadFile, BadInput
from lleval_jax.report import compression
from lleval_jax.training.compress import bounds, files
from lleval_jax.training.compress import choose as choosing
from lleval_jax.training.compress.fit import Search, compress
from lleval_jax.training.compress.folders import read_adapters
from lleval_jax.training.compress.project import add

SHAPES = {
    f"model.layers.{k}.self_attn.{side}_proj": shape
    for k in range(2)
    for side, shape in (("q", (12, 10)), ("v", (6, 10)))
}
QUICK = Search(starts=2)


def put(folder: pathlib.Path, name: str, seed: int, *, rank: int = 2, basis: int = 0, **config) -> pathlib.Path:
    """An adapter as PEFT writes it; with a basis, within one that is shared."""
    rng, common = np.random.default_rng(seed), np.random.default_rng(99)
    tensors = {}
    for module, (out, inn) in SHAPES.items():
        a, b = rng.normal(size=(rank, inn)), rng.normal(size=(out, rank))
        if basis:
            left, right = common.normal(size=(out, basis)), common.normal(size=(basis, inn))
            a, b = rng.normal(size=(rank, basis)) @ right, left @ rng.normal(size=(basis, rank))
        tensors[f"base_model.model.{module}.lora_A.weight"] = a.astype(np.float32)
        tensors[f"base_model.model.{module}.lora_B.weight"] = b.astype(np.float32)
    place = folder / name
    place.mkdir(parents=True)
    safetensors.numpy.save_file(tensors, place / "adapter_model.safetensors")
    facts = {"peft_type": "LORA", "r": rank, "lora_alpha": 2 * rank, "target_modules": ["q_proj", "v_proj"]}
    facts |= {"base_model_name_or_path": "a-model"} | config
    (place / "adapter_config.json").write_text(json.dumps(facts))
    return place


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> pathlib.Path:
    place = tmp_path_factory.mktemp("adapters")
    for k in range(6):
        put(place, f"task-{k}", k, rank=1 + k % 2, basis=3)
    return place


def updates(adapter, module):
    a, b = adapter.factors(module)
    return b @ a


def test_adapters_within_one_basis_lose_nothing(folder):
    found = read_adapters(folder)
    shared = compress(found, 3, search=QUICK)
    assert shared.settled
    assert shared.names == tuple(f"task-{k}" for k in range(6))
    assert shared.error.max() < 1e-4
    for adapter in found.adapters:
        for module, (a, b) in shared.factors(adapter.name).items():
            exact = updates(adapter, module)
            assert np.linalg.norm(b @ a - exact) < 1e-2 * np.linalg.norm(exact)


@pytest.mark.parametrize(("method", "rank"), [("full", 2), ("diag", 2), ("svd", 1)])
def test_the_error_is_that_of_what_factors_give(folder, method, rank):
    found = read_adapters(folder)
    shared = compress(found, rank, method=method, search=QUICK)
    for i, adapter in enumerate(found.adapters):
        given = shared.factors(adapter.name)
        for m, module in enumerate(shared.modules):
            exact = updates(adapter, module)
            a, b = given[module]
            rest = np.sum((b @ a - exact) ** 2) / np.sum(exact**2)
            assert shared.error[i, m] == pytest.approx(rest, abs=2e-3)


def test_what_is_written_is_read_again_and_peft_folders_hold_the_same(folder, tmp_path):
    shared = compress(read_adapters(folder), 3, clusters=2, search=QUICK)
    files.save(shared, tmp_path / "shared")
    again = files.load(tmp_path / "shared")
    assert again.names == shared.names
    assert (again.cluster == shared.cluster).all()
    for name, module in shared.modules.items():
        for part, other in zip(module, again.modules[name], strict=True):
            assert np.array_equal(part, other)
    files.export(shared, "task-1", tmp_path / "peft" / "task-1")
    one = read_adapters(tmp_path / "peft").adapters[0]
    for module, (a, b) in shared.factors("task-1").items():
        assert np.allclose(updates(one, module), b @ a, atol=1e-5)


@pytest.mark.parametrize(("rank", "thin"), [(4, 0), (5, 2), (6, 2)])
def test_cores_are_kept_as_what_is_fewer_numbers(folder, tmp_path, rank, thin):
    found = read_adapters(folder)
    shared = compress(found, rank, search=QUICK)
    assert shared.thin == thin
    files.save(shared, tmp_path / "shared")
    tensors = safetensors.numpy.load_file(tmp_path / "shared" / files.ARRAYS)
    error = tensors.pop("error")
    assert sum(each.size for each in tensors.values()) == shared.after == choosing.stored(found, rank, 1, "full")
    again = files.load(tmp_path / "shared")
    assert again.after == shared.after
    for name, module in shared.modules.items():
        assert np.allclose(again.modules[name].cores, module.cores, atol=1e-5)
    assert np.array_equal(error, again.error)


def test_a_member_projected_again_gets_its_own_core(folder):
    found = read_adapters(folder)
    shared = compress(found, 2, search=QUICK)
    fewer = shared.remove("task-2")
    assert "task-2" not in fewer.names
    back = add(fewer, found.adapters[2])
    for name, module in shared.modules.items():
        assert np.allclose(back.modules[name].cores[-1], module.cores[2], atol=1e-4)
    assert np.allclose(back.error[-1], shared.error[2], atol=1e-5)
    with pytest.raises(BadInput, match="'task-2' already"):
        add(back, found.adapters[2])


def test_bases_drift_when_what_is_added_fits_them_worse(folder, tmp_path):
    shared = compress(read_adapters(folder), 3, search=QUICK)
    assert shared.drift == 0
    put(tmp_path / "new", "other", 50)
    later = add(shared, read_adapters(tmp_path / "new").adapters[0])
    assert later.added == ("other",)
    assert later.drift == pytest.approx(later.error[-1].mean() - shared.error.mean(), rel=1e-6)
    assert later.drifted(0.1)
    assert not later.drifted(1.0)
    assert "added since" in str(compression.summary(later, most=0.6))
    files.save(later, tmp_path / "shared")
    assert files.load(tmp_path / "shared").added == ("other",)
    assert not later.remove("other").added


@pytest.mark.parametrize(("method", "clusters"), [("full", 1), ("diag", 1), ("full", 2)])
def test_no_error_is_below_its_bound(folder, method, clusters):
    found = read_adapters(folder)
    shared = compress(found, 1, method=method, clusters=clusters, search=QUICK)
    least = bounds.least_errors(found, shared)
    assert (least > 0.01).all()
    assert (least <= shared.error.mean(0) + 1e-6).all()
    at_most_one_direction = compress(found.__class__(found.adapters[:1]), 1, search=QUICK)
    assert (bounds.least_errors(found.__class__(found.adapters[:1]), at_most_one_direction) == 0).all()


@pytest.mark.parametrize(
    ("n", "most", "rule"),
    [(4, 99, (9, 1)), (64, 576, (39, 1)), (64, 32, (32, 1)), (101, 99, (16, 5)), (512, 99, (16, 25))],
)
def test_the_papers_rule_goes_by_the_number_of_adapters(n, most, rule):
    assert choosing.by_rule(n, most) == rule


def test_the_cheapest_size_below_the_target_is_chosen(folder):
    found = read_adapters(folder)
    choice, looked = choosing.choose(found, target=0.01, ranks=(1, 2, 3), clusters=(1,), search=QUICK)
    assert choice.rank == 3
    assert [each.rank for each in looked] == [1, 2, 3]
    with pytest.raises(BadInput, match="no size takes less"):
        choosing.choose(found, budget=0.01, search=QUICK)


def test_files_say_what_is_damaged(folder, tmp_path):
    files.save(compress(read_adapters(folder), 2, search=QUICK), tmp_path / "shared")
    with pytest.raises(BadInput, match="no shared adapters"):
        files.load(tmp_path)
    facts = tmp_path / "shared" / files.FACTS
    text = facts.read_text()
    facts.write_text(text.replace('"task-5"', '"task-5", "task-6"'))
    with pytest.raises(BadFile, match="names 7 adapters, 6 clusters"):
        files.load(tmp_path / "shared")
    facts.write_text(text[:-20])
    with pytest.raises(BadFile, match="cannot be read"):
        files.load(tmp_path / "shared")


def spoiled(place: pathlib.Path, what: str) -> None:
    """One more adapter that cannot be used."""
    if what == "base":
        put(place, "odd", 9, base_model_name_or_path="another")
    elif what == "option":
        put(place, "odd", 9, use_dora=True)
    elif what == "rank":
        put(place, "odd", 9, rank=7)
    else:
        file = put(place, "odd", 9) / "adapter_model.safetensors"
        tensors = safetensors.numpy.load_file(file)
        first = sorted(tensors)[0]
        if what == "nan":
            tensors[first][0, 0] = np.nan
        elif what == "half":
            del tensors[first]
        elif what == "modules":
            tensors = {name: each for name, each in tensors.items() if "layers.1" not in name}
        safetensors.numpy.save_file(tensors, file)


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("base", "'odd' is of the base model 'another', and most are of 'a-model'"),
        ("option", "use_dora is True; that option is not known here"),
        ("rank", "less than the rank of 7"),
        ("nan", "odd.*numbers that are not finite"),
        ("half", "has no lora_A"),
        ("modules", "'odd' has 0 modules that most have not and lacks 2"),
    ],
)
def test_an_adapter_that_cannot_be_used_is_named_or_left_out(folder, tmp_path, what, says):
    place = tmp_path / "adapters"
    shutil.copytree(folder, place)
    spoiled(place, what)
    with pytest.raises(BadInput, match=says):
        read_adapters(place)
    found = read_adapters(place, skip_bad=True)
    assert len(found.names) == 6
    assert list(found.skipped) == ["odd"]


def test_bad_requests_are_refused_in_a_line(folder, tmp_path):
    found = read_adapters(folder)
    with pytest.raises(BadInput, match="holds no folder"):
        read_adapters(tmp_path)
    with pytest.raises(BadInput, match="the rank is 7, and model.layers.0.self_attn.v_proj is 6 x 10"):
        compress(found, 7)
    with pytest.raises(BadInput, match="7 clusters for 6 adapters"):
        compress(found, 2, clusters=7)
    with pytest.raises(BadInput, match="'task-9' is not known"):
        compress(found, 2, search=QUICK).factors("task-9")
