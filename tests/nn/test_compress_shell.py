"""`lleval compress`: a folder of adapters in, bases, ordinary adapters and a report out; and what it refuses."""

import json
import shutil

import pytest
from nn.test_compress_folders import folder, put  # noqa: F401  (a fixture)

from lleval_jax.cli.main import run
from lleval_jax.cli.shell.status import BAD_INPUT
from lleval_jax.training.compress import files, fit
from lleval_jax.training.compress.folders import read_adapters


def test_adapters_are_compressed_kept_and_exported(folder, tmp_path, capsys):  # noqa: F811
    pytest.importorskip("matplotlib")
    words = ["compress", str(folder), "--rank", "auto", "--target-error", "0.5", "--out", str(tmp_path / "shared")]
    words += ["--export", str(tmp_path / "peft"), "--plot", str(tmp_path / "a.png"), "--json", str(tmp_path / "a.json")]
    assert run(words) == 0
    said, content = capsys.readouterr().out, json.loads((tmp_path / "a.json").read_text())
    assert "adapters in shared bases" in said
    assert "sizes looked at" in said
    assert content["schema"] == "lleval/compressed/1"
    assert files.load(tmp_path / "shared").rank == content["rank"]
    assert read_adapters(tmp_path / "peft").names == tuple(each["name"] for each in content["adapters"])
    assert (tmp_path / "a.png").stat().st_size > 5000


def test_the_papers_rule_bounds_and_parts_of_a_stopped_run(folder, tmp_path, capsys):  # noqa: F811
    words = ["compress", str(folder), "-q", "--rank", "rule", "--out", str(tmp_path / "shared"), "--json", "-"]
    found = read_adapters(folder)
    fit.compress(found, 6, search=fit.Search(seed=1), keep=tmp_path / "shared.parts")
    assert run(words) == BAD_INPUT
    assert "search.seed is 1 there and 0 here" in capsys.readouterr().err
    assert run([*words, "--seed", "1", "--bounds"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["rank"] == 6  # 6 / 2 + 7 is more than the smallest side
    assert content["least_squared_error"] == [0, 0, 0, 0]
    assert files.load(tmp_path / "shared").rank == 6
    assert not (tmp_path / "shared.parts").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--rank two", "--rank is 'two'; it is a number from 1, auto or rule"),
        ("--rank auto --method svd", "--method svd needs a number for --rank"),
        ("--rank 99", "the rank is 99, and model.layers.0.self_attn.q_proj is 12 x 10"),
        ("--rank 2 --out {folder}", "is not empty"),
        ("--rank 2 --clusters 40", "40 clusters for 6 adapters"),
        ("--budget 0.001", "no size takes less than"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(folder, capsys, words, says):  # noqa: F811
    assert run(["compress", str(folder), "-q", *words.format(folder=folder).split()]) == BAD_INPUT
    said = capsys.readouterr().err
    assert says in said
    assert "Traceback" not in said


def test_a_bad_adapter_is_left_out_by_name(folder, tmp_path, capsys):  # noqa: F811
    place = tmp_path / "adapters"
    shutil.copytree(folder, place)
    put(place, "odd", 9, use_dora=True)
    assert run(["compress", str(place), "--rank", "2"]) == BAD_INPUT
    assert "use_dora is True" in capsys.readouterr().err
    assert run(["compress", str(place), "--rank", "2", "--skip-bad", "--json", "-"]) == 0
    assert list(json.loads(capsys.readouterr().out)["skipped"]) == ["odd"]
