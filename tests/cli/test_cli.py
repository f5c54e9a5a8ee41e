"""The shell contract: exit status, what goes where, what is kept, and what a user never sees."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
import typer

import lleval_jax as ll
from lleval_jax.cli import calibrate as calibrate_verb
from lleval_jax.cli.app import app
from lleval_jax.cli.main import run
from lleval_jax.cli.shell import output
from lleval_jax.cli.shell.status import BAD_INPUT, FAILED, INTERRUPTED, OK
from lleval_jax.data import simulate

CLI = pathlib.Path(calibrate_verb.__file__).parent
SCHEMA = {"schema", "target", "method", "level", "estimates", "caveats", "source"}
ENTRY = {"row", "group", "value", "low", "high", "std_error", "n_seen", "status", "remark"}


@pytest.fixture(scope="module")
def place(once) -> pathlib.Path:
    """A folder with answers of 40 models on 60 items, full scores, and a bank made in the shell."""
    return once("shell", _shell)


def _shell(folder: pathlib.Path) -> None:
    responses, _ = simulate(40, 60, seed=1)
    responses.to_frame().to_csv(folder / "answers.csv", index=False)
    truth = [f"{row},{score:.6f}" for row, score in zip(responses.rows, responses.scores.mean(1), strict=True)]
    (folder / "truth.csv").write_text("\n".join(["model,score", *truth]) + "\n")
    words = ["calibrate", f"{folder}/answers.csv", "-k", "20", "--out", f"{folder}/bank", "--no-check"]
    assert run(words) == OK


def test_help_needs_neither_jax_nor_pandas() -> None:
    code = (
        "import sys; from lleval_jax.cli.main import run; run(['--help']); run(['estimate', '--help']); "
        "print([m for m in ('jax', 'pandas', 'pyarrow', 'matplotlib', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert done.stderr == ""


@pytest.mark.parametrize(
    "verb",
    [
        [],
        ["estimate"],
        ["calibrate"],
        ["check"],
        ["ask"],
        ["convert"],
        ["bank", "list"],
        ["bank", "show"],
        ["bank", "verify"],
        ["models", "list"],
        ["models", "show"],
        ["models", "fetch"],
        ["models", "merge"],
    ],
)
def test_every_help_carries_an_example(verb: list[str], capsys: pytest.CaptureFixture) -> None:
    assert run([*verb, "--help"]) == OK
    shown = capsys.readouterr().out
    assert re.search(r"lleval " + " ".join(verb or ["estimate"]) + r"\b", shown.split("Options:")[0].split("\n", 1)[1])


def test_help_names_the_methods_there_are(capsys: pytest.CaptureFixture) -> None:
    for verb, methods in {"estimate": ll.ability.METHODS, "calibrate": ll.anchors.METHODS}.items():
        run([verb, "--help"])
        shown = capsys.readouterr().out
        assert [name for name in methods if not re.search(rf"\b{name}\b", shown)] == []


def test_json_on_stdout_is_all_there_is_on_stdout(place: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    words = ["estimate", f"{place}/answers.csv", "--bank", f"{place}/bank", "--json", "-", "--seed", "7"]
    assert run(words) == OK
    found = json.loads(capsys.readouterr().out)
    assert set(found) == SCHEMA
    assert found["schema"] == "lleval/estimate/1"
    assert set(found["estimates"][0]) == ENTRY
    assert len(found["estimates"]) == 40
    assert found["source"]["command"] == " ".join(["lleval", *words])
    assert (found["source"]["seed"], found["source"]["version"]) == (7, ll.__version__)
    assert list(found["source"]["files"]) == ["answers.csv"]


def test_json_in_a_file_leaves_the_table_on_stdout(place: pathlib.Path, tmp_path: pathlib.Path, capsys) -> None:
    target = tmp_path / "result.json"
    words = ["estimate", f"{place}/answers.csv", "--bank", f"{place}/bank", "--json", str(target)]
    assert run([*words, "--truth", f"{place}/truth.csv", "--leaderboard", "--compare", "row-0", "row-1"]) == OK
    found = json.loads(target.read_text())
    assert set(found) == SCHEMA | {"ranks", "comparison"}
    assert all(ENTRY | {"truth", "inside"} == set(entry) for entry in found["estimates"])
    assert [r["best"] for r in found["ranks"]] == sorted(r["best"] for r in found["ranks"])
    shown = capsys.readouterr().out
    assert "intervals contain the truth" in shown
    assert "Errors treated as independent" in shown
    assert os.listdir(tmp_path) == ["result.json"]


def test_ability_is_a_target_of_its_own(place: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    words = [
        "estimate",
        f"{place}/answers.csv",
        "--bank",
        f"{place}/bank",
        "--target",
        "ability",
        "--json",
        "-",
    ]
    assert run([*words, "--by", "wle", "--level", "0.8"]) == OK
    found = json.loads(capsys.readouterr().out)
    assert (found["target"], found["method"], found["level"]) == ("ability", "wle", 0.8)
    assert run([*words, "--groups"]) == BAD_INPUT
    assert "--groups goes with --target accuracy" in capsys.readouterr().err


def test_an_estimate_is_kept_and_comes_back(place: pathlib.Path, tmp_path: pathlib.Path) -> None:
    words = ["estimate", f"{place}/answers.csv", "--bank", f"{place}/bank", "--out", str(tmp_path / "kept")]
    assert run(words) == OK
    assert isinstance(ll.load(tmp_path / "kept"), ll.Estimate)
    assert run(words) == OK


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["estimate", "nowhere.csv", "--bank", "{bank}"], "no such file, folder or glob: nowhere.csv"),
        (["estimate", "{answers}", "--bank", "no-such-bank"], "there is no bank 'no-such-bank'"),
        (["estimate", "{answers}", "--bank", "{bank}", "--by", "magic"], "'magic' is not known"),
        (["estimate", "{answers}", "--bank", "{bank}", "--level", "95"], "did you mean 0.95"),
        (["estimate", "{answers}", "--bank", "{bank}", "--compare", "row-0", "x"], "no model 'x' to compare"),
        (["estimate", "{answers}", "--bank", "{bank}", "--truth", "{answers}"], "has two scores"),
        (["estimate", "{answers}", "--bank", "{bank}", "--json", "nowhere/x.json"], "no folder nowhere"),
        (["estimate", "{answers}", "--bank", "{bank}", "--out", "{place}"], "holds no estimate"),
        (["estimate", "demo:nobody", "--bank", "{bank}"], "no demo.parquet for 'nobody'"),
        (["estimate", "{answers}", "--by", "kriged"], "without a bank, --by 'kriged' is not known"),
        (["estimate", "{answers}", "--bank", "{bank}", "--colour", "red"], "No such option: --colour"),
        (["calibrate", "{answers}", "--out", "{place}"], "holds no bank"),
        (["calibrate", "{answers}", "--out", "{place}/truth.csv"], "truth.csv is a file"),
        (["calibrate", "{answers}", "--out", "{place}/new", "--dims", "few"], "'few' is neither 'auto' nor"),
        (["calibrate", "{answers}", "--out", "{place}/new", "--by", "magic"], "magic"),
        (["calibrate", "{answers}", "bank:x", "--out", "{place}/new"], "stands alone"),
        (["bank", "show", "no-such-bank"], "there is no bank 'no-such-bank'"),
        (["bank", "verify", "{place}"], "holds no bank.json"),
        (["dance"], "No such command 'dance'"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else value,
)
def test_bad_input_is_one_line_and_status_2(place, words, message, capsys, monkeypatch, tmp_path) -> None:
    monkeypatch.chdir(tmp_path)
    known = {"place": place, "answers": place / "answers.csv", "bank": place / "bank"}
    assert run([word.format(**known) for word in words]) == BAD_INPUT
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = [line for line in shown.err.splitlines() if not re.search(r"\(\d+ s\)$", line)]  # progress, if slow
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert message in lines[0]
    assert list(tmp_path.iterdir()) == []
    assert not (place / "new").exists()


def test_items_the_bank_does_not_know_are_counted_and_an_error_when_strict(place, tmp_path, capsys) -> None:
    lines = (place / "answers.csv").read_text().splitlines()
    (tmp_path / "more.csv").write_text("\n".join([*lines, "row-0,stranger,1,all,1.0", ""]))
    words = ["estimate", str(tmp_path / "more.csv"), "--bank", f"{place}/bank"]
    assert run(words) == OK
    assert "warning: 1 of 61 items answered are not in bank" in capsys.readouterr().err
    assert run([*words, "--strict"]) == BAD_INPUT
    assert "error: 1 of 61 items answered are not in bank" in capsys.readouterr().err


@pytest.mark.slow
def test_a_session_with_files_ends_and_says_why(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    whole, _ = simulate(41, 60, seed=3)  # as many models and items as in `place`: what is compiled is the same
    known, new = whole.take(range(40)), whole.take([40]).to_frame()
    known.to_frame().to_csv(tmp_path / "known.csv", index=False)
    bank, answers, items = tmp_path / "bank", tmp_path / "answers.csv", tmp_path / "next.txt"
    words = ["calibrate", f"{tmp_path}/known.csv", "-k", "20", "--no-check", "--replay", "--out", str(bank)]
    assert run(words) == OK
    asking = ["ask", "--bank", str(bank), "-k", "4", "--std-error", "0.06", "--out", str(items), "--json", "-"]
    assert run(asking) == OK
    capsys.readouterr()
    asked: list[str] = []
    for _ in range(10):
        asked += items.read_text().split()
        new[new.item.isin(asked)].to_csv(answers, index=False)
        assert run([*asking, str(answers)]) == OK
        found = json.loads(capsys.readouterr().out)
        assert not set(found["items"]) & set(asked)
        if found["enough"]:
            break
    assert found["schema"] == "lleval/choice/1"
    assert found["enough"]
    assert found["checked"]
    assert re.search(r"standard error 0\.0\d+ is at most 0.06", found["why"])
    assert found["estimates"][0]["n_seen"] == len(asked) < 60
    assert items.read_text() == ""


def test_asking_in_vain_is_one_line(place: pathlib.Path, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    bank = ["ask", "--bank", f"{place}/bank"]
    (tmp_path / "prices.csv").write_text("item,price\nitem-0,1\n")
    for words, message in (
        (["--std-error", "3"], "std_error is 3.0; it must lie strictly between 0 and 1"),
        (["--compare", "a", "b"], "a comparison needs answers of both rows"),
        (["--price", f"{tmp_path}/none.csv"], "there is no file"),
        (["--price", f"{tmp_path}/prices.csv"], "has no price for 59 items of the bank"),
        (["--exposure", "61"], "exposure is 61; it must lie between 1 and the number of items"),
    ):
        assert run([*bank, *words]) == BAD_INPUT
        lines = capsys.readouterr().err.strip().splitlines()
        assert lines[-1].startswith("error: ")
        assert message in lines[-1]
    assert run([*bank, "-k", "3"]) == OK
    shown = capsys.readouterr().out
    assert "ask next" in shown
    assert "Adaptive intervals of this bank are not validated" in shown


@pytest.mark.slow
def test_a_fit_that_did_not_converge_says_so(place: pathlib.Path, tmp_path, monkeypatch, capsys) -> None:
    usual = ll.irt.fit
    monkeypatch.setattr(ll.irt, "fit", lambda *data, **words: usual(*data, **(words | {"max_steps": 1, "tol": 1e-9})))
    words = [
        "calibrate",
        f"{place}/answers.csv",
        "-k",
        "20",
        "--no-check",
        "--out",
        str(tmp_path / "bank"),
    ]
    assert run([*words, "--strict"]) == FAILED
    assert "is not converged after 1 steps" in capsys.readouterr().err
    assert not (tmp_path / "bank").exists()
    assert run(words) == OK
    shown = capsys.readouterr()
    assert re.search("warning: .*is not converged after 1 steps", shown.err)
    assert "not converged" in shown.out


def test_interrupting_stops_with_one_line(capsys: pytest.CaptureFixture, monkeypatch) -> None:
    monkeypatch.setitem(ll.__dict__, "list_banks", _interrupted)
    assert run(["bank", "list"]) == INTERRUPTED
    assert capsys.readouterr().err == "interrupted\n"


def _interrupted() -> None:
    raise KeyboardInterrupt


def test_ctrl_c_in_a_shell_leaves_nothing_half_written(place: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """As soon as the first line says what is going on, a second after the start of the work."""
    command = [sys.executable, "-c", "from lleval_jax.cli.main import main; main()", "calibrate"]
    command += [f"{place}/answers.csv", "--out", str(tmp_path / "bank"), "-k", "5", "--dims", "auto"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    assert re.fullmatch(r"[a-z].* \(\d+ s\)\n", first)
    assert process.returncode == INTERRUPTED
    assert "Traceback" not in errors
    assert errors.strip().splitlines()[-1] == "interrupted"
    assert not (tmp_path / "bank" / "bank.json").exists()


def test_warnings_are_lines(place: pathlib.Path, monkeypatch, capsys) -> None:
    def warned(*_, **__):  # noqa: ANN202
        for _ in range(2):
            warnings.warn("three answers were\nset aside", ll.DataWarning, stacklevel=1)
        raise ll.BadInput("enough")

    monkeypatch.setitem(ll.__dict__, "read", warned)
    assert run(["estimate", "x", "--bank", f"{place}/bank"]) == BAD_INPUT
    assert capsys.readouterr().err == "warning: three answers were set aside\nerror: enough\n"


def test_a_reader_that_goes_away_is_no_error(place: pathlib.Path) -> None:
    start = f"{sys.executable} -c 'from lleval_jax.cli.main import main; main()'"
    command = f"{start} bank show {place}/bank --anchors | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert not [line for line in done.stderr.splitlines() if not line.startswith("reading the bank")]  # a slow disk


@pytest.mark.slow
def test_calibrate_says_what_was_found(place: pathlib.Path, tmp_path: pathlib.Path, capsys) -> None:
    out, result = tmp_path / "my-bench", tmp_path / "choice.json"
    words = ["calibrate", f"{place}/answers.csv", "-k", "15", "--out", str(out), "--json", str(result)]
    words += ["--float64", "--by", "random", "--seed", "3"]
    assert run([*words, "--dims", "auto"]) == OK
    shown = capsys.readouterr().out
    for word in ("negative discrimination", "converged after", "15 by random", "of 8 95% intervals contain the score"):
        assert word in shown
    found, bank = json.loads(result.read_text()), ll.load_bank(out)
    assert found["schema"] == calibrate_verb.CHOICE
    assert found["items"] == list(bank.anchor_items)
    assert found["check"]["of"] == found["check_strongest"]["of"] == 8
    assert bank.verdict.random.to_dict() == found["check"]
    assert (bank.name, bank.source.seed) == ("my-bench", 3)
    assert run(["bank", "show", str(out), "--anchors"]) == OK
    assert capsys.readouterr().out.splitlines() == list(bank.anchor_items)
    assert run(["bank", "verify", str(out)]) == OK
    assert run([*words, "--no-check"]) == OK  # a bank may be made again in its own folder


def test_full_scores_of_their_own_are_taken(place: pathlib.Path, tmp_path: pathlib.Path) -> None:
    lines = (place / "truth.csv").read_text().splitlines()
    halved = [f"{m},{float(s) / 2:.6f}" for m, s in (line.split(",") for line in lines[1:])]
    (tmp_path / "full.csv").write_text("\n".join([lines[0], *halved]))
    words = ["calibrate", f"{place}/answers.csv", "-k", "20", "--out", str(tmp_path / "bank")]
    assert run([*words, "--scores", str(tmp_path / "full.csv"), "--no-check"]) == OK
    made = ll.load_bank(tmp_path / "bank").calibration
    assert made is not None
    assert made.outside
    assert made.full[:, 0].max() <= 0.5


@pytest.mark.parametrize("name", [name for name in ll.__all__ if name != "__version__"])
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(ll, name) is not None


def test_a_name_that_is_not_there_says_so() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        ll.nothing  # noqa: B018


@pytest.mark.slow
def test_shipped_banks_work_by_name(capsys: pytest.CaptureFixture) -> None:
    banks = ll.list_banks()
    assert "livexiv-vqa" in banks
    assert (
        run(
            [
                "estimate",
                "demo:livexiv-vqa",
                "--bank",
                "livexiv-vqa",
                "--truth",
                "demo:livexiv-vqa",
                "--json",
                "-",
            ]
        )
        == OK
    )
    found = json.loads(capsys.readouterr().out)
    inside = np.mean([entry["inside"] for entry in found["estimates"] if "inside" in entry])
    assert inside > 0.5
    assert run(["estimate", "bank:livexiv-vqa", "--bank", "livexiv-vqa", "--groups"]) == OK


@pytest.mark.parametrize("kind", ["parquet", "eee"])
def test_convert(place: pathlib.Path, tmp_path: pathlib.Path, kind: str, capsys: pytest.CaptureFixture) -> None:
    words = ["convert", f"{place}/answers.csv", "--format", kind, "--out", f"{tmp_path}/out", "--json", "-"]
    assert run(words) == OK
    facts = json.loads(capsys.readouterr().out)
    assert (facts["schema"], facts["models"], facts["answers"]) == ("lleval/convert/1", 40, 2400)
    one, two = ll.read(place / "answers.csv"), ll.read(tmp_path / "out")
    assert one.scores.tolist() == two.take([two.rows.index(row) for row in one.rows]).select(one.items).scores.tolist()
    if kind == "eee":
        assert run(words) == OK  # the same answers give the same files
        (tmp_path / "out" / "notes.txt").write_text("mine")
        assert run(["convert", "no such file", *words[2:]]) == BAD_INPUT  # seen before the work
        assert "is not empty, it holds 'notes.txt'" in capsys.readouterr().err


def test_repeats_are_an_option(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    for name, score in (("a", 1), ("b", 0)):
        (tmp_path / f"{name}.csv").write_text(f"model,item,score\nm,i,{score}\n")
    words = ["convert", str(tmp_path), "--out", f"{tmp_path}/out.parquet"]
    assert run([*words, "--repeats", "error"]) == BAD_INPUT
    assert "two different answers" in capsys.readouterr().err
    assert run(words) == OK
    assert "k of n" in capsys.readouterr().err


@pytest.fixture(scope="module")
def doubtful(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Answers of 90 models on 40 items, one with a wrong key, and the models' families."""
    folder = tmp_path_factory.mktemp("doubtful")
    responses, truth = simulate(90, 40, seed=5)
    scores, names = np.array(responses.scores), list(responses.items)
    steep = int(truth.slope[:, 0].argmax())
    scores[:, steep], names[steep] = 1 - scores[:, steep], "mistaken"
    responses = ll.Responses.build(scores, items=names)
    responses.to_frame().to_csv(folder / "answers.csv", index=False)
    families = [f"{row},{'a' if i % 2 else 'b'}" for i, row in enumerate(responses.rows)]
    (folder / "families.csv").write_text("\n".join(["model,family", *families]) + "\n")
    few = responses.take(range(12))
    few.to_frame().to_csv(folder / "few.csv", index=False)
    return folder


@pytest.mark.slow
def test_check_names_the_wrong_key(doubtful: pathlib.Path, tmp_path: pathlib.Path, capsys) -> None:
    pytest.importorskip("matplotlib")
    target, picture = tmp_path / "check.json", tmp_path / "check.png"
    words = ["check", f"{doubtful}/answers.csv", "--family", f"{doubtful}/families.csv", "--json", str(target)]
    assert run([*words, "--plot", str(picture), "--strict"]) == OK
    shown = capsys.readouterr().out
    assert "90 models (90 distinct) x 40 items, 2pl requested: it can be fitted" in shown
    assert re.search(r"mistaken .*key likely wrong", shown)
    found = json.loads(target.read_text())
    assert found["schema"] == "lleval/check/1"
    assert set(found) == {
        *("schema", "ok", "guard", "fit", "reliability", "split_half", "dims", "dependence", "flags", "items"),
        *("suspects", "source"),
    }  # fmt: skip
    assert found["ok"]
    assert [one["item"] for one in found["items"] if "key likely wrong" in one["flags"]] == ["mistaken"]
    assert found["source"]["command"].startswith("lleval check")
    assert picture.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.slow
def test_check_says_what_few_models_can_teach(doubtful: pathlib.Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["check", f"{doubtful}/few.csv", "--recover", "--json", "-"]) == OK
    found = json.loads(capsys.readouterr().out)
    assert found["guard"]["safe"] == "rasch"
    assert not found["ok"]
    assert found["fit"]["method"].startswith("rasch")
    assert set(found["recovery"]["coverage"]) == {"intercept", "ability"}
    assert "passed" in found["shuffled"]


def test_check_is_strict_on_demand_and_reads_families_strictly(doubtful: pathlib.Path, tmp_path, capsys) -> None:
    assert run(["check", f"{doubtful}/few.csv", "--strict", "--family", "none"]) == FAILED
    assert "warning  too few models" in capsys.readouterr().out
    (tmp_path / "wrong.csv").write_text("name,kind\nrow-0,a\n")
    assert run(["check", f"{doubtful}/few.csv", "--family", f"{tmp_path}/wrong.csv"]) == BAD_INPUT
    assert "has no column 'model'; it has ['name', 'kind']" in capsys.readouterr().err


DRAWING = (  # every verb that draws, with the words it cannot do without
    "ask {place}/answers.csv --bank livexiv-vqa",
    "calibrate {place}/answers.csv --out {place}/drawn",
    "check {place}/answers.csv",
    "compress {place}/answers.csv",
    "estimate {place}/answers.csv",
    "judge {place}/answers.csv",
    "pepr estimate {place}/answers.csv",
    "prompts best {place}/answers.csv --budget 9",
    "prompts estimate {place}/answers.csv",
    "prompts plan {place}/answers.csv --budget 9",
    "refresh choose {place}/answers.csv -k 3",
    "refresh estimate {place}/answers.csv {place}/truth.csv",
    "serve-bench {place}/answers.csv",
    "sloth {place}/answers.csv",
    "train {place}/answers.csv",
)


def drawing(command, words: tuple[str, ...] = ()) -> set[str]:
    """The verbs with --plot of a command and those below it."""
    own = {" ".join(words)} if any("--plot" in each.opts for each in command.params) else set()
    return own.union(*(drawing(each, (*words, name)) for name, each in getattr(command, "commands", {}).items()))


def test_every_verb_that_draws_is_listed() -> None:
    """So that what follows asks each whether it refuses before the work what it cannot draw."""
    missing = drawing(typer.main.get_command(app)) - {one.partition(" {")[0] for one in DRAWING}
    assert not missing, f"tests/cli/test_cli.py, DRAWING: add {sorted(missing)} with the words they cannot do without"


@pytest.mark.parametrize(
    "file", [file for file in sorted(CLI.rglob("*.py")) if "    plot: " in file.read_text()], ids=lambda file: file.stem
)
def test_a_verb_draws_whole_pictures_only(file: pathlib.Path) -> None:
    said = f"{file}: draw by `run.draw(...)`, so that no half picture is left"
    assert "run.draw(" in file.read_text() or "with output.picture(" in file.read_text(), said


@pytest.mark.parametrize("words", DRAWING)
@pytest.mark.parametrize(
    ("plot", "message"),
    [
        ("x.txt", "x.txt is not a picture file; name it .png, .svg or .pdf"),
        ("none/x.png", "there is no folder .*none; make it first"),
        ("answers.csv/x.png", "there is no folder .*answers.csv; make it first"),
    ],
)
def test_a_picture_that_cannot_be_drawn_is_refused_before_the_work(
    place: pathlib.Path, words: str, plot: str, message: str, capsys: pytest.CaptureFixture, monkeypatch
) -> None:
    pytest.importorskip("matplotlib")
    for reader in ("read", "read_logprobs", "read_leaderboard"):
        monkeypatch.setattr(ll, reader, None, raising=False)  # whoever reads now fails otherwise
    assert run([*words.format(place=place).split(), "--plot", f"{place}/{plot}"]) == BAD_INPUT
    said = capsys.readouterr()
    assert said.out == ""
    assert re.search(message, said.err.splitlines()[-1])


@pytest.mark.parametrize("words", [one for one in DRAWING if "refresh estimate" not in one])
def test_a_folder_for_a_picture_is_said_of_plot(place: pathlib.Path, words: str, capsys) -> None:
    """Only the verb with two pictures puts them into a folder."""
    assert run([*words.format(place=place).split(), "--plot", str(place)]) == BAD_INPUT
    assert f"{place} is a folder; --plot takes a file, named .png, .svg or .pdf" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["ask --bank livexiv-vqa", "prompts plan --budget 9", "prompts best --budget 9"])
def test_a_folder_for_items_is_said_of_out(place: pathlib.Path, words: str, capsys) -> None:
    assert run([*words.split(), "--out", str(place)]) == BAD_INPUT
    assert f"{place} is a folder; --out takes a file, or - for stdout" in capsys.readouterr().err


def test_a_picture_that_fails_leaves_nothing(tmp_path: pathlib.Path) -> None:
    def half() -> None:
        with output.picture(tmp_path / "check.png") as name:
            pathlib.Path(name).write_bytes(b"half")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        half()
    assert list(tmp_path.iterdir()) == []
