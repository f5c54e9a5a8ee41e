"""What all verbs share: the skeleton, progress, help, options from a file, and text that cannot harm."""

import json
import logging
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import warnings

import pytest
import typer

import lleval_jax as ll
from lleval_jax.cli import running
from lleval_jax.cli.main import run
from lleval_jax.cli.prompts import cells
from lleval_jax.cli.shell import compiled, output, reporter, speaking
from lleval_jax.cli.shell.status import BAD_INPUT, FAILED, INTERRUPTED, OK
from lleval_jax.cli.shell.verb import Outputs, verb
from lleval_jax.report import style, text
from lleval_jax.values.progress import Progress
from lleval_jax.words import visible

START = [sys.executable, "-m", "lleval_jax"]


def started(*words: str, **more: str) -> subprocess.CompletedProcess:
    """The shell in a process of its own, with these environment variables."""
    env = {name: value for name, value in os.environ.items() if name != "JAX_COMPILATION_CACHE_DIR"} | more
    return subprocess.run([*START, *words], capture_output=True, text=True, env=env, check=False)


@pytest.fixture
def answers(tmp_path: pathlib.Path) -> pathlib.Path:
    """Three models, one with a name that would steer a terminal."""
    lines = ["model,item,score"]
    lines += [f"{model},q{i},{(i + j) % 2}" for j, model in enumerate(("a", "red\x1b[31m", "b")) for i in range(4)]
    path = tmp_path / "answers.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_log_is_told_how_far_the_work_is(capsys, monkeypatch) -> None:
    monkeypatch.setattr(reporter, "SOON", 0.05)
    monkeypatch.setattr(reporter, "EVERY", 0.05)
    monkeypatch.setattr(reporter, "SURE", 0.0)
    with reporter.reporting("reading") as now:
        time.sleep(0.12)
        now.say("fitting 9 models; compiling first")
        now.tell(Progress("fitting", 24, error=0.0123, unit="steps"))
        time.sleep(0.12)
        now.tell(Progress("leaving families out", 3, 12, unit="folds"))
        time.sleep(0.12)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "reading (0 s)"
    assert "fitting 9 models: step 24, error 0.012 (0 s)" in lines
    assert re.fullmatch(r"leaving families out: 3 of 12 folds \(25%, 0 s, about \d s left\)", lines[-1])


def test_the_time_left_is_that_of_this_part_of_the_work(monkeypatch) -> None:
    clock = iter([0.0, 10.0, 14.0])
    monkeypatch.setattr(reporter.time, "monotonic", lambda: next(clock))
    now = reporter.Reporter("reading")
    now.tell(Progress("leaving out", 0, 8))
    now.tell(Progress("leaving out", 2, 8))
    assert now.left(now.now) == pytest.approx(12.0)  # 2 of 8 in 4 seconds


def test_quiet_says_nothing_but_warnings(capsys, monkeypatch) -> None:
    monkeypatch.setattr(reporter, "SOON", 0.01)

    def listed() -> dict:
        time.sleep(0.05)
        speaking.note("a note")
        warnings.warn("careful", ll.DataWarning, stacklevel=1)
        return {}

    monkeypatch.setitem(ll.__dict__, "list_banks", listed)
    for words, said in ((["-q"], "warning: careful\n"), (["-v"], "a note\nwarning: careful\n")):
        assert run(["bank", "list", *words]) == OK
        shown = re.sub(r"reading the banks.*\n", "", capsys.readouterr().err)
        assert shown == said
    assert logging.getLogger("lleval_jax").handlers == []


def test_options_of_every_verb_may_come_before_it(capsys) -> None:
    assert run(["-q", "bank", "list"]) == OK
    assert run(["--debug", "estimate", "nowhere.csv"]) == BAD_INPUT
    assert "Traceback" in capsys.readouterr().err
    assert running._verb_first(["-q", "-v", "convert", "a", "--", "-b"]) == ["convert", "a", "-q", "-v", "--", "-b"]


def test_verbose_times_each_part(capsys) -> None:
    assert run(["bank", "list", "-v"]) == OK
    assert re.search(r"^reading the banks: \d+\.\d s$", capsys.readouterr().err, re.MULTILINE)


def test_strict_fails_after_all_is_written(tmp_path, capsys) -> None:
    target = tmp_path / "found.json"

    def found() -> None:
        with verb("looking", Outputs(json=target), strict=True, computes=False) as work:
            work.fails("a finding")
            work.show([text.Table("found", (), ())], {"found": 1})

    with pytest.raises(typer.Exit):
        found()
    assert json.loads(target.read_text()) == {"found": 1}
    assert capsys.readouterr().out == "found\n"


def test_two_outputs_in_one_place_are_refused(tmp_path) -> None:
    path = tmp_path / "x"
    with pytest.raises(ll.BadInput, match="--json and --out name the same place"):
        Outputs(json=path, file=path).check()


@pytest.mark.parametrize("group", ["prompts", "refresh", "refine", "align", "bank"])
def test_help_lists_the_verbs_of_a_group_and_cuts_nothing(group: str, capsys) -> None:
    assert run([group, "--help"]) == OK
    shown = capsys.readouterr().out
    assert "Commands:" in shown
    assert "..." not in shown.split("Commands:")[1]
    assert run(["--help"]) == OK
    assert "..." not in capsys.readouterr().out.split("Commands:")[1]


def test_help_shows_choices_and_no_types_of_python(capsys) -> None:
    for words in (["check"], ["estimate"], ["calibrate"], ["pepr"], ["sloth"], ["prompts"], ["prompts", "best"]):
        assert run([*words, "--help"]) == OK
        shown = capsys.readouterr().out
        assert not re.search(r"<|list\[|\{INPUT|\.\.\.\.\.\.", shown), shown
    assert run(["check", "--help"]) == OK
    assert "--rotate varimax|oblimin|geomin" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("prompts plann --budget 9", "no such command or file: 'plann'; did you mean 'plan'?"),
        ("prompt x", "No such command 'prompt'. Did you mean 'prompts'?"),
        ("refresh lnk x", "No such command 'lnk'. Did you mean 'link'?"),
        ("pepr x --size 2", "--size is now -k"),
    ],
)
def test_a_word_that_is_nearly_right_is_answered_by_the_right_one(words: str, message: str, capsys) -> None:
    assert run(words.split()) == BAD_INPUT
    assert capsys.readouterr().err == f"error: {message}\n"


def test_a_verb_alone_shows_its_help(capsys) -> None:
    for words in ([], ["check"], ["prompts"], ["refresh"], ["bank", "show"]):
        assert run(words) == BAD_INPUT
        assert capsys.readouterr().err.startswith("Usage: lleval")


def test_options_come_from_a_file_and_what_is_typed_wins(answers, tmp_path, capsys) -> None:
    target, config = tmp_path / "out.parquet", tmp_path / "run.toml"
    config.write_text(f'out = "{target}"\nrepeats = "error"\nstrict = true\nscale = [0, 2]\nformat = "eee"\n')
    words = ["convert", str(answers), "--config", str(config), "--format", "parquet", "--json", "-"]
    assert run(words) == OK
    assert json.loads(capsys.readouterr().out)["format"] == "parquet"
    assert float(ll.read(target).scores.max()) == 0.5  # of 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sed = 3", "has no option 'sed'; did you mean 'seed'"),
        ("seed = ", "is not TOML"),
        ("strict = 1", "strict is a switch; it is true or false, not 1"),
        ("[seed]\nx = 1", "seed is {'x': 1}; write one value"),
        ("seed = 'x'", "Invalid value for '--seed'"),
    ],
)
def test_a_file_of_options_that_is_wrong_is_one_line(text, message, answers, tmp_path, capsys) -> None:
    (tmp_path / "run.toml").write_text(text)
    assert run(["check", str(answers), "--config", f"{tmp_path}/run.toml"]) == BAD_INPUT
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1


def test_the_file_of_options_is_part_of_the_source(answers, tmp_path, capsys) -> None:
    (tmp_path / "run.toml").write_text("seed = 3")
    assert run(["check", str(answers), "--config", f"{tmp_path}/run.toml", "--json", "-"]) == OK
    source = json.loads(capsys.readouterr().out)["source"]
    assert source["seed"] == 3
    assert set(source["files"]) == {"answers.csv", "run.toml"}


def test_debug_shows_the_traceback(capsys) -> None:
    assert run(["bank", "show", "none", "--debug"]) == BAD_INPUT
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.splitlines()[-1].startswith("error: there is no bank 'none'")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("red\x1b[31m", r"red\x1b[31m"),
        ("two\nlines", r"two\nlines"),
        ("c1\x9b2J", r"c1\x9b2J"),
        ("bidi\u202etxt", r"bidi\u202etxt"),
        ("line\u2028", r"line\u2028"),
        ("nul\0", r"nul\x00"),
        ("\udcff", r"\udcff"),
        ("模型 é 👩\u200d💻", "模型 é 👩\u200d💻"),
    ],
)
def test_names_cannot_steer_a_terminal(name: str, shown: str) -> None:
    assert visible(name) == shown
    table = text.Table(f"of {name}", ("model", "x"), ((name, "1"),), (f"remark {name}",))
    assert str(table).splitlines() == [f"of {shown}", *str(table).splitlines()[1:3], f"remark {shown}"]
    assert str(table).splitlines()[2].split("  ")[0] == shown


def test_columns_of_wide_characters_stay_in_line() -> None:
    lines = str(text.Table("t", ("model", "x"), (("模型", "1"), ("abc", "2")))).splitlines()
    assert lines[1:] == ["model  x", "模型   1", "abc    2"]


def test_a_long_name_is_cut_in_its_middle() -> None:
    assert text.cut("meta-llama-3-70b-instruct", 13) == "meta-l…struct"
    assert text.cut("模型模型模型", 7) == "模型…型"
    assert text.cut("short", 5) == "short"


def test_names_stay_as_they_are_in_json_and_are_escaped_in_tables(answers, capsys) -> None:
    assert run(["convert", str(answers), "--out", f"{answers.parent}/o\x1b.parquet"]) == OK
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err
    assert "red\x1b[31m" in ll.read(answers.parent / "o\x1b.parquet").rows
    assert run(["bank", "show", "x\x1b[31m"]) == BAD_INPUT
    assert "\x1b" not in capsys.readouterr().err


def test_names_in_a_picture_are_no_mathematics_and_no_control_characters() -> None:
    assert style.plain("a $5$ model\x1b\0\nsecond line") == "a \\$5\\$ model\\x1b\\x00\nsecond line"


def test_names_that_a_spreadsheet_would_run_are_said() -> None:
    with pytest.warns(ll.DataWarning, match="1 names such as .*=cmd.* begin as a formula does"):
        cells._warn_of_formulas(["=cmd", "fine"], strict=False)
    with pytest.raises(ll.BadInput, match="begin as a formula does"):
        cells._warn_of_formulas(["@x"], strict=True)


def test_a_list_of_names_holds_one_a_line(tmp_path) -> None:
    with pytest.raises(ll.BadInput, match=r"'two\\nlines' cannot be written on one line"):
        output.lines(["one", "two\nlines"], tmp_path / "names.txt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("columns", ["0", "1", "-5", "x"])
def test_a_terminal_without_a_size_shows_the_table(columns: str, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert run(["bank", "list"]) == OK
    assert "livexiv-vqa" in capsys.readouterr().out


def test_output_that_cannot_be_written_is_one_line() -> None:
    closed = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m lleval_jax bank list >&-"], capture_output=True, text=True, check=False
    )
    assert (closed.returncode, closed.stderr.count("\n")) == (FAILED, 1)
    assert closed.stderr.startswith("error: standard output is closed")


def test_an_encoding_that_cannot_hold_a_name_gets_an_escape(tmp_path) -> None:
    (tmp_path / "a.csv").write_text("model,item,score\nmodèle,q,1\n", encoding="utf-8")
    words = ("convert", f"{tmp_path}/a.csv", "--out", f"{tmp_path}/é.parquet")
    table = started(*words, PYTHONIOENCODING="ascii")
    assert (table.returncode, "Traceback" in table.stderr) == (OK, False)
    assert r"written to" in table.stdout
    assert json.loads(started(*words, "--json", "-", PYTHONIOENCODING="ascii").stdout)["out"].endswith("é.parquet")


def test_wrong_settings_of_jax_are_one_line(answers) -> None:
    for settings in ({"JAX_PLATFORMS": "nonsense"}, {"JAX_ENABLE_X64": "perhaps"}):
        done = started("check", str(answers), "-q", **settings)
        assert done.returncode == FAILED
        assert done.stderr.startswith("error: JAX does not start: ")
        assert len(done.stderr.splitlines()) == 1


def test_completion_names_the_verbs() -> None:
    words = {"_LLEVAL_COMPLETE": "complete_bash", "COMP_WORDS": "lleval re", "COMP_CWORD": "1"}
    assert started(**words).stdout.split() == ["report", "refresh", "refine"]


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.2])
def test_an_early_interrupt_is_one_line(seconds: float) -> None:
    code = "import lleval_jax.cli.main as m; print('ready', flush=True); m.main()"
    words = [sys.executable, "-c", code, "check", "demo:livexiv-vqa"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (INTERRUPTED, "interrupted\n")


def test_only_the_shell_keeps_programs_and_can_be_told_not_to(tmp_path, monkeypatch) -> None:
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    for name in ("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("LLEVAL_CACHE", "off")
    compiled.keep()
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ
    monkeypatch.setenv("LLEVAL_CACHE", str(tmp_path))
    compiled.keep()
    assert pathlib.Path(os.environ["JAX_COMPILATION_CACHE_DIR"]).parent == tmp_path / "programs"
    old, new = tmp_path / "programs" / "old", tmp_path / "programs" / "new"
    for i, path in enumerate((old, new)):
        path.write_bytes(b"x" * 10)
        os.utime(path, (i, i))
    monkeypatch.setattr(compiled, "LARGEST", 15)
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    compiled.keep()
    assert [path.exists() for path in (old, new)] == [False, True]


@pytest.mark.slow
def test_kept_programs_change_no_digit_and_broken_ones_do_no_harm(answers, tmp_path) -> None:
    words = ("prompts", "plan", "demo:prompts", "--budget", "320", "--by", "adaptive", "--json", "-")
    kept = {"LLEVAL_CACHE": str(tmp_path / "cache")}
    first, second = started(*words, **kept), started(*words, **kept)
    programs = [path for path in (tmp_path / "cache" / "programs").rglob("*") if path.is_file()]
    assert programs
    for path in programs:
        path.write_bytes(path.read_bytes()[:50])
    broken, off = started(*words, **kept), started(*words, **{**kept, "LLEVAL_CACHE": "off"})
    found = [json.loads(done.stdout) for done in (first, second, broken, off)]
    assert found[1:] == found[:1] * 3
    assert "persistent" not in broken.stderr
