"""Kept by what went in: killed, torn, damaged, full, locked."""

import dataclasses
import errno
import json
import os
import pathlib
import subprocess
import sys

import pytest
from live.made import table

from lleval_jax import writing
from lleval_jax.errors import BadInput, DataWarning, NoReply, RunFailed
from lleval_jax.live import recipe, requests, rows, steps
from lleval_jax.live.steps import Steps
from lleval_jax.live.values import Element, Panel, Question
from lleval_jax.lm.client import Reply, Request

RECIPE = """
name = "v1"
[papers]
categories = ["cs.LG"]
first = 2026-10-01
last = 2026-10-31
"""


@dataclasses.dataclass(frozen=True)
class Named:
    name: str
    blob: str = ""


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    return tmp_path


def once(run: Steps, name: str, made: list[str], **more):
    def work() -> Named:
        made.append(name)
        return Named(name)

    return run.once("step/1", name, [name], Named, more.pop("work", work), **more)


def test_what_is_done_is_not_done_again(folder):
    made: list[str] = []
    for _ in range(2):
        with Steps.opened(folder) as run:
            found = [once(run, name, made).value.name for name in "abc"]
    assert found == ["a", "b", "c"]
    assert made == ["a", "b", "c"]
    assert len(run.manifest.read_bytes().splitlines()) == 3


def test_a_part_and_its_line_are_on_the_disk_before_the_next(folder, forced):
    with Steps.opened(folder) as run:
        before = len(forced)
        once(run, "a", [])
        assert len(forced) - before == 3  # the part, its folder, the line
        run.blobs.put(b"picture")
        assert len(forced) - before == 5


@pytest.mark.parametrize("cut", [1, 30, 150])
def test_a_torn_last_line_is_dropped_and_its_part_removed(folder, cut):
    made: list[str] = []
    with Steps.opened(folder) as run:
        for name in "ab":
            once(run, name, made)
    content = run.manifest.read_bytes()
    run.manifest.write_bytes(content[:-cut])
    with Steps.opened(folder) as run:
        assert len(run.lines) == 1
        assert len(list((folder / "parts").glob("*/*"))) == 1
        for name in "ab":
            once(run, name, made)
    assert made == ["a", "b", "b"]
    assert len({json.loads(line)["key"] for line in run.manifest.read_bytes().splitlines()}) == 2


def test_a_flipped_bit_in_manifest_part_or_blob_is_seen(folder):
    made: list[str] = []
    with Steps.opened(folder) as run:
        for name in "ab":
            once(run, name, made)
        sha = run.blobs.put(b"picture")
    (part, _) = sorted((folder / "parts").glob("*/*"))
    content = bytearray(part.read_bytes())
    content[len(content) // 2] ^= 1
    part.write_bytes(bytes(content))
    with Steps.opened(folder) as run:
        with pytest.warns(DataWarning, match="not as it was written"):
            [once(run, name, made) for name in "ab"]
    assert len(made) == 3
    lines = run.manifest.read_bytes()
    assert len(lines.splitlines()) == 2
    run.manifest.write_bytes(lines.replace(b'"unit": "a"', b'"unit": "q"'))
    with pytest.warns(DataWarning, match="1 lines are damaged"), Steps.opened(folder) as run:
        assert len(run.lines) == 1
    run.blobs.path(sha).write_bytes(b"picturE")
    with pytest.raises(steps.Damaged, match="damaged and was removed"):
        run.blobs.get(sha)
    assert sha not in run.blobs
    assert run.blobs.put(b"picture") == sha
    assert run.blobs.get(sha) == b"picture"


def test_a_unit_whose_blob_is_lost_is_made_again(folder):
    count = []

    def work() -> Named:
        count.append(1)
        return Named("x", run.blobs.put(b"bytes"))

    for _ in range(2):
        with Steps.opened(folder) as run:
            found = once(run, "x", [], work=work, needs=lambda value: [value.blob])
            run.blobs.path(found.value.blob).unlink()
    assert len(count) == 2


def test_one_writer_and_the_second_says_who(folder):
    code = (
        "import sys, pathlib; from lleval_jax.live.steps import Steps\n"
        "with Steps.opened(pathlib.Path(sys.argv[1])):\n    print('in', flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(RunFailed, match=f"process {other.pid} since"), Steps.opened(folder):
            pass
        other.kill()
    with Steps.opened(folder):
        pass


def test_a_full_disk_leaves_nothing_half_written(folder, monkeypatch):
    with Steps.opened(folder) as run:
        once(run, "a", [])
        before = run.manifest.read_bytes()
        real = os.write

        def full(handle: int, content: bytes) -> int:
            real(handle, bytes(content)[:10])
            raise OSError(errno.ENOSPC, "No space left on device")

        for broken in ("append", "part"):
            with monkeypatch.context() as patch:
                patch.setattr(writing.os if broken == "part" else steps.os, "write", full)
                with pytest.raises(OSError, match="No space left"):
                    once(run, "b", [])
            assert run.manifest.read_bytes() == before
    with Steps.opened(folder) as run:
        assert not [name for name in writing.files_in(folder) if writing.is_passing(pathlib.Path(name))]
        assert once(run, "b", []).known is False


def test_no_folder_of_a_run(tmp_path):
    with pytest.raises(BadInput, match="no recipe.toml"), Steps.opened(tmp_path):
        pass


def test_values_come_back_from_rows():
    element = dataclasses.replace(table(1), panels=(Panel(letter="a", box=(0.0, 1.0, 2.0, 3.0)),), page=3)
    for values, kind in (([element, table(2)], Element), ([], Question)):
        content = rows.packed(values, kind)
        assert rows.unpacked(content, kind) == values
        assert rows.packed(values, kind) == content
    with pytest.raises(BadInput, match="no table of Element"):
        rows.unpacked(b"PAR1 but not", Element)


class Server:
    """Answers, or fails; remembers what it saw."""

    model, server, at_once = "m", "here", 1

    def __init__(self, fails: int = 0) -> None:
        self.seen: list[Request] = []
        self.fails = fails

    def complete(self, request: Request) -> Reply:
        self.seen.append(request)
        if len(self.seen) <= self.fails:
            raise NoReply("busy")
        return Reply("yes", "stop", "m", asked=1000, written=10)


def test_requests_are_stored_before_they_are_sent(folder):
    model = recipe.Model(client="openai", model="m", price=(2.0, 10.0))
    with Steps.opened(folder) as run:
        sha, server = run.blobs.put(b"\x89PNG"), Server(fails=1)
        client = requests.kept(server, folder, run.blobs, model)
        request = Request(messages=[{"role": "user", "content": "What?", "images": [f"sha256:{sha}"]}])
        with pytest.raises(NoReply):
            client.complete(request)
        stored = [json.loads(path.read_bytes()) for path in (folder / "requests").glob("*/*.json")]
        assert [each["sent"] for each in stored] == [1]
        assert stored[0]["request"]["messages"][0]["images"] == [f"sha256:{sha}"]
        assert client.complete(request).text == "yes"
        assert client.complete(request).cached
    assert server.seen[0].messages[0].images[0].startswith("data:image/png;base64,")
    found = requests.spent(folder, [model])["m"]
    assert found == requests.Spent(1, 1, 1, 1000, 10, 0, pytest.approx(0.0021))


def test_a_recipe_is_read_strictly(tmp_path):
    found = recipe.parsed(RECIPE.encode())
    assert found.papers.first.isoformat() == "2026-10-01"
    assert found.digest("papers") == recipe.parsed(RECIPE.replace("cs.LG", "cs.LG").encode()).digest("papers")
    assert found.digest("papers") != recipe.parsed(RECIPE.replace("cs.LG", "cs.AI").encode()).digest("papers")
    cases = {
        "nmae = 1\n" + RECIPE: "no 'nmae'; did you mean 'name'",
        RECIPE + "mots = 3": r"\[papers\] has no 'mots'; did you mean 'most'",
        RECIPE + "most = 'many'": "papers.most: Expected `int`, got `str`",
        RECIPE + "most = 0": "most is 1 or more",
        RECIPE.replace("2026-10-31", "2026-09-01"): "before first",
        RECIPE + "allow = ['CC-BI']": "'CC-BI'; there are",
        RECIPE + "[ask]\nmodel = 'x'": r"\[ask\] model is 'x', which is not in \[models\]",
        RECIPE + "[models.x]\nclient = 'openai'\nmodl = 'y'": r"\[models.x\] has no 'modl'",
        RECIPE + "[models.x]\nclient = 'magic'\nmodel = 'y'": "client",
        RECIPE + "[export]\nto = ['lmeval']": "did you mean 'lm-eval'",
        "name = 'x'": "lacks 'papers'",
        "name = ": "not TOML",
        RECIPE.replace("[papers]", "[[papers]]"): "must be a table",
    }
    for text, said in cases.items():
        with pytest.raises(BadInput, match=said):
            recipe.parsed(text.encode(), "r.toml")
    with pytest.raises(BadInput, match="there is no recipe"):
        recipe.read(tmp_path / "none.toml")
    with pytest.raises(BadInput, match="ships"):
        recipe.read("demo:none")
