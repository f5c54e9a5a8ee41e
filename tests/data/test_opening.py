"""What a user names is opened: compressed, archived, piped, elsewhere, in another encoding; and never without end."""

import bz2
import contextlib
import gzip
import http.server
import io
import lzma
import os
import pathlib
import shutil
import sys
import tarfile
import tempfile
import threading
import types
import urllib.parse
import warnings
import zipfile

import numpy as np
import pytest
import zstandard

from lleval_jax import data, writing
from lleval_jax.data import files, finding, opening, remote
from lleval_jax.errors import BadInput, DataWarning

CSV = b"model,item,score\na,i,1\na,j,0\nb,i,0.5\n"
FIXTURES = pathlib.Path(__file__).parent / "fixtures"


def zipped(**members: bytes) -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_csv", ".csv").replace("_in_", "/"), content)
    return found.getvalue()


def tarred(mode: str = "w", **members: bytes) -> bytes:
    found = io.BytesIO()
    with tarfile.open(fileobj=found, mode=mode) as archive:
        for name, content in members.items():
            about = tarfile.TarInfo(name.replace("_csv", ".csv").replace("_in_", "/"))
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
    return found.getvalue()


def npz() -> bytes:
    found = io.BytesIO()
    np.savez(found, responses=np.array([[1, 0], [0.5, np.nan]]), models=["a", "b"], items=["i", "j"])
    return found.getvalue()


def parquet(tmp_path: pathlib.Path) -> bytes:
    (tmp_path / "t.csv").write_bytes(CSV)
    data.write(data.read(tmp_path / "t.csv"), tmp_path / "t.parquet")
    return (tmp_path / "t.parquet").read_bytes()


PACKED = {
    "a.csv.gz": gzip.compress(CSV),
    "a.csv.bz2": bz2.compress(CSV),
    "a.csv.xz": lzma.compress(CSV),
    "a.csv.zst": zstandard.compress(CSV),
    "a.zip": zipped(a_csv=CSV),
    "a.tar": tarred(a_csv=CSV),
    "a.tar.gz": tarred("w:gz", runs_in_a_csv=CSV),
    "a.tar.bz2": tarred("w:bz2", a_csv=CSV),
    "a.tar.xz": tarred("w:xz", a_csv=CSV),
    "a.tar.zst": zstandard.compress(tarred(a_csv=CSV)),
    "a.npz.xz": lzma.compress(npz()),
    "named otherwise": zstandard.compress(CSV),
    "utf-16.csv": CSV.decode().encode("utf-16"),
    "utf-32.csv.gz": gzip.compress(CSV.decode().encode("utf-32")),
    "utf-16 in a.zip": zipped(a_csv=CSV.decode().encode("utf-16")),
}


def same(found) -> None:
    assert sorted(found.rows) == ["a", "b"]
    part = found.take([found.rows.index(row) for row in ("a", "b")]).select(("i", "j"))
    np.testing.assert_array_equal(np.where(part.seen, part.scores, -1), [[1, 0], [0.5, -1]])


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path, monkeypatch):
    """Whatever was unpacked goes with the call."""
    place = tmp_path / "for the time"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", os.fspath(place))
    yield
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("name", PACKED)
def test_packed_files_are_read(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(PACKED[name])
    found = data.read(path)
    same(found)
    [shown] = found.source.files
    assert shown.startswith(name)
    (tmp_path / "logs").mkdir()
    shutil.move(path, tmp_path / "logs" / name)
    same(data.read(tmp_path / "logs"))


def test_a_packed_parquet_is_read(tmp_path):
    (tmp_path / "a.parquet.gz").write_bytes(gzip.compress(parquet(tmp_path)))
    same(data.read(tmp_path / "a.parquet.gz"))


def test_an_archive_that_is_named_twice_is_read_once(tmp_path):
    (tmp_path / "a.zip").write_bytes(PACKED["a.zip"])
    found = data.read([tmp_path / "a.zip", tmp_path, f"{tmp_path}/*.zip"])
    same(found)
    assert list(found.source.files) == ["a.zip/a.csv"]


def test_the_hash_is_that_of_the_users_file(tmp_path):
    for name in ("a.csv.zst", "utf-16.csv", "a.npz.xz"):
        (tmp_path / name).write_bytes(PACKED[name])
        found = data.read(tmp_path / name).source.files
        assert found == {name: files_hash(tmp_path / name)}
    (tmp_path / "a.zip").write_bytes(PACKED["a.zip"])
    (tmp_path / "plain.csv").write_bytes(CSV)
    assert data.read(tmp_path / "a.zip").source.files == {"a.zip/a.csv": files_hash(tmp_path / "plain.csv")}


def files_hash(path: pathlib.Path) -> str:
    return data.store.archive.file_hash(path)


def test_packed_logs_have_the_names_that_plain_ones_have(tmp_path):
    log = next((FIXTURES / "lm_eval" / "i82qcls7").glob("samples_tiny_choice*"))
    plain = data.read(log, metric="acc")
    for name, content in (
        ("bz2", bz2.compress(log.read_bytes())),
        ("zst", zstandard.compress(log.read_bytes())),
    ):
        place = tmp_path / "i82qcls7" / f"{log.name}.{name}"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)
        found = data.read(place, metric="acc")
        assert (found.items, found.groups) == (plain.items, plain.groups)
    with tarfile.open(tmp_path / "runs.tar.gz", "w:gz") as archive:
        for each in (log, *log.parent.glob("results*.json")):
            archive.add(each, f"runs/i82qcls7/{each.name}")
    found = data.read(tmp_path / "runs.tar.gz", metric="acc")
    assert (found.rows, found.items) == (plain.rows, plain.items)


@pytest.mark.parametrize("name", [name for name in PACKED if name not in ("utf-16.csv", "a.tar")])
def test_packed_files_cut_short_are_refused(name, tmp_path):
    content = PACKED[name]
    for size in (len(content) - 9, len(content) * 2 // 3):
        (tmp_path / "cut").write_bytes(content[:size])
        with pytest.raises(BadInput, match="cut"):
            data.read(tmp_path / "cut")
    (tmp_path / "good.csv").write_bytes(CSV)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        with contextlib.suppress(BadInput):  # a text that is cut is an error, an archive is passed over
            same(data.read(tmp_path))


BOMBS = {
    "csv.bz2": lambda: bz2.compress(b"model,item,score\n" + b"\n" * (1 << 23)),
    "csv.xz": lambda: lzma.compress(b"model,item,score\n" + b"\n" * (1 << 23), preset=0),
    "csv.zst": lambda: zstandard.compress(b"model,item,score\n" + b"\n" * (1 << 23)),
    "zip": lambda: zipped(a_csv=b"model,item,score\n" + b"\n" * (1 << 23)),
    "tar.gz": lambda: gzip.compress(tarred(a_csv=b"model,item,score\n" + b"\n" * (1 << 23)), 9),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused(name, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "TEXT", (1 << 20, 200))
    (tmp_path / name).write_bytes(BOMBS[name]())
    with pytest.raises(BadInput, match=r"refused as (a bomb|too large)"):
        data.read(tmp_path / name)


def test_archives_within_archives_end(tmp_path):
    content = CSV
    for _ in range(4):
        content = zipped(inner=content)
    (tmp_path / "deep.zip").write_bytes(content)
    with pytest.raises(BadInput, match="an archive within archives"):
        data.read(tmp_path / "deep.zip")


@pytest.mark.parametrize("name", ["../out.csv", "/tmp/out.csv", "a/../../out.csv"])
@pytest.mark.parametrize("kind", [zipped, tarred])
def test_members_that_lead_out_are_refused(kind, name, tmp_path):
    (tmp_path / "bad").write_bytes(kind(**{name: CSV}))
    with pytest.raises(BadInput, match="no name of a file below a folder; refused"):
        data.read(tmp_path / "bad")


def test_links_in_a_tar_are_passed_over(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("device", tarfile.CHRTYPE)):
            about = tarfile.TarInfo(name)
            about.type, about.linkname = kind, "/etc/passwd"
            archive.addfile(about)
    with pytest.raises(BadInput, match="a.tar is a tar without a file"):
        data.read(tmp_path / "a.tar")


def test_an_encrypted_zip_says_so(tmp_path):
    content = bytearray(PACKED["a.zip"])
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(BadInput, match="a.csv is encrypted; unpack it first"):
        data.read(tmp_path / "a.zip")


def test_stdin_and_pipes_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(PACKED["a.csv.zst"])))
    found = data.read("-")
    same(found)
    assert list(found.source.files) == ["stdin"]
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(PACKED["a.tar.gz"]))
    writer.start()
    same(data.read(tmp_path / "pipe"))
    writer.join()
    same_file = tmp_path / "a b.csv"
    same_file.write_bytes(CSV)
    same(data.read(same_file.as_uri()))


def test_another_encoding_is_named_with_its_first_byte(tmp_path):
    text = "model,item,score\nModèle,i,1\nb,j,0\n"
    (tmp_path / "latin.csv").write_bytes(text.encode("latin-1"))
    said = r"latin.csv: byte 0xE8 at position 20 \(line 2\) is not UTF-8: .*encoding='latin-1'"
    with pytest.raises(BadInput, match=said) as found:
        data.read(tmp_path / "latin.csv")
    assert found.value.in_shell().endswith("Say which: --encoding latin-1, for example; or save it in UTF-8.")
    assert data.read(tmp_path / "latin.csv", encoding="latin-1").rows == ("Modèle", "b")
    (tmp_path / "gb.csv.gz").write_bytes(gzip.compress("model,item,score\n模型,i,1\n".encode("gb18030")))
    assert data.read(tmp_path / "gb.csv.gz", encoding="gb18030").rows == ("模型",)
    with pytest.raises(BadInput, match="is not ASCII"):
        data.read(tmp_path / "latin.csv", encoding="ascii")
    with pytest.raises(BadInput, match="encoding 'latn-1' is not known; did you mean 'latin-1'"):
        data.read(tmp_path / "latin.csv", encoding="latn-1")
    (tmp_path / "a.jsonl").write_bytes('{"model": "Modèle", "item": "i", "score": 1}\n'.encode("cp1252"))
    with pytest.raises(BadInput, match=r"a.jsonl: byte 0xE8 at position 14 \(line 1\) is not UTF-8"):
        data.read(tmp_path / "a.jsonl")
    (tmp_path / "no mark.csv").write_bytes(text.encode("utf-16-le"))
    with pytest.raises(BadInput, match="UTF-16 without its mark"):
        data.read(tmp_path / "no mark.csv")
    assert data.read(tmp_path / "no mark.csv", encoding="utf-16-le").rows == ("Modèle", "b")


@pytest.mark.parametrize(
    ("reader", "text"),
    [
        (data.read_scores, "model,score\nModèle,0.5\n"),
        (data.read_leaderboard, "model,family,params,tokens,bench\nModèle,f,1e9,1e12,0.5\nb,f,2e9,1e12,0.6\n"),
        (data.read_logprobs, "text,element,logprob\nt,é,-1\nt,b,-2\nt,full,-1.5\n"),
    ],
)
def test_other_tables_say_their_encoding_too(reader, text, tmp_path):
    (tmp_path / "a.csv.zst").write_bytes(zstandard.compress(text.encode("latin-1")))
    with pytest.raises(BadInput, match=r"byte 0xE[89] at position \d+ \(line 2\) is not UTF-8"):
        reader(tmp_path / "a.csv.zst")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        found = reader(tmp_path / "a.csv.zst", encoding="latin-1")
        shown = found.to_string() if reader is data.read_scores else "".join(map(str, vars(found).values()))
        assert {"è", "é"} & set(shown)


def test_messages_hold_no_raw_bytes(tmp_path):
    for content in (bytes(range(256)) * 8, PACKED["a.csv.zst"][:9], b"\x1f\x8b" + bytes(90), b"PK\x03\x04" + bytes(90)):
        (tmp_path / "odd").write_bytes(content)
        with pytest.raises(BadInput) as found:  # noqa: PT011  the text is looked at below
            data.read(tmp_path / "odd")
        assert str(found.value).isprintable()
        assert "\\x" not in str(found.value)


def test_a_glob_over_circular_links_ends_and_reads_each_file_once(tmp_path):
    logs = tmp_path / "logs"
    (logs / "deep" / "deeper").mkdir(parents=True)
    (logs / "a.csv").write_bytes(CSV)
    (logs / "self").symlink_to(logs)
    (logs / "up").symlink_to(tmp_path)
    (logs / "deep" / "deeper" / "round").symlink_to(logs / "deep")
    (logs / "again.csv").symlink_to(logs / "a.csv")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "b.csv").write_bytes(CSV.replace(b"a,", b"c,").replace(b"b,", b"d,"))
    for pattern in (logs, f"{logs}/**/*.csv", f"{tmp_path}/logs/**", [f"{logs}/**/a*.csv", logs / "a.csv", logs]):
        found = data.read(pattern)
        same(found)
        assert len(found.source.files) == 1
    (logs / "linked").symlink_to(tmp_path / "other")
    assert len(data.read(f"{logs}/**/*.csv").rows) == 4
    assert len(data.read(logs).rows) == 4


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("**/*.csv", "a.csv", True),
        ("**/*.csv", "x/y/a.csv", True),
        ("**/*.csv", "x/.y/a.csv", False),
        ("*/a.csv", "x/y/a.csv", False),
        ("**/y/**/a?[ab].csv", "x/y/a1b.csv", True),
        ("**", "x/y", True),
        ("x/**/b", "x/c", False),
        ("a?b.csv", "a/b.csv", False),
    ],
)
def test_what_a_glob_matches(pattern, name, matches):
    assert finding.is_match(pattern.split("/"), name.split("/")) is matches


class Server(http.server.BaseHTTPRequestHandler):
    """A web server, and of S3 what Arrow asks for: HEAD, GET with a range, and lists."""

    protocol_version = "HTTP/1.1"
    content: dict[str, bytes] = {}  # noqa: RUF012

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        asked = dict(urllib.parse.parse_qsl(query))
        if "list-type" in asked:
            self.answer(self.listed(path.strip("/"), asked.get("prefix", "")))
        elif path == "/short.csv":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(CSV)
            self.close_connection = True
        elif path not in self.content:
            self.answer(b"", 404)
        elif "Range" in self.headers:
            first, last = self.headers["Range"].removeprefix("bytes=").split("-")
            whole = self.content[path]
            part = whole[int(first) : int(last) + 1]
            self.answer(part, 206, {"Content-Range": f"bytes {first}-{int(first) + len(part) - 1}/{len(whole)}"})
        else:
            self.answer(self.content[path])

    do_HEAD = do_GET  # noqa: N815

    def answer(self, content: bytes, status: int = 200, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        date = {"Last-Modified": "Mon, 01 Jan 2024 00:00:00 GMT", "ETag": '"x"', "Content-Length": str(len(content))}
        for name, value in (date | (more or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def listed(self, bucket: str, prefix: str) -> bytes:
        at = f"/{bucket}/"
        found = [name.removeprefix(at) for name in self.content if name.startswith(at + prefix)]
        about = "<LastModified>2024-01-01T00:00:00.000Z</LastModified><ETag>x</ETag>"
        keys = "".join(
            f"<Contents><Key>{key}</Key><Size>{len(self.content[at + key])}</Size>{about}</Contents>" for key in found
        )
        head = f"<Name>{bucket}</Name><Prefix>{prefix}</Prefix><KeyCount>{len(found)}</KeyCount><MaxKeys>1000</MaxKeys>"
        space = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
        body = f"<ListBucketResult {space}>{head}<IsTruncated>false</IsTruncated>{keys}</ListBucketResult>"
        return f'<?xml version="1.0" encoding="UTF-8"?>{body}'.encode()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Server.content = {
        "/runs/a.csv": CSV,
        "/runs/a.csv.zst": PACKED["a.csv.zst"],
        "/bucket/logs/one/a.csv": CSV,
        "/bucket/logs/two/b.tar.gz": PACKED["a.tar.gz"],
        "/bucket/logs/two/.hidden": b"x",
        "/bucket/other.txt": b"x",
    }
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as found:
        thread = threading.Thread(target=found.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{found.server_port}"
        found.shutdown()
        thread.join()


def test_a_file_on_a_web_server_is_read(server):
    told = []
    for name in ("a.csv", "a.csv.zst?key=secret"):
        found = data.read(f"http://{server}/runs/{name}", tell=told.append)
        same(found)
        assert list(found.source.files) == [f"http://{server}/runs/{name.partition('?')[0]}"]
    assert (told[0].word, told[0].done, told[0].total, told[0].unit) == ("fetching", len(CSV), len(CSV), "bytes")
    with pytest.raises(BadInput, match="nothing.csv cannot be read: the server says 404"):
        data.read(f"http://{server}/nothing.csv")
    with pytest.raises(BadInput, match=rf"short.csv came cut short: {len(CSV)} of 1000 bytes"):
        data.read(f"http://{server}/short.csv")
    with pytest.raises(BadInput, match="cannot be reached: .*refused"):
        data.read("http://127.0.0.1:9/a.csv")


def test_buckets_are_read(server):
    asked = f"scheme=http&endpoint_override={server}&region=us-east-1"
    for where, name in (
        ("logs/one/a.csv", "one/a.csv"),
        ("logs/one/", "one/a.csv"),
        ("logs/two", "two/b.tar.gz/runs/a.csv"),
        ("logs/**/*.csv", "one/a.csv"),
    ):
        found = data.read(f"s3://key:secret@bucket/{where}?{asked}")
        same(found)
        assert list(found.source.files) == [f"s3://bucket/logs/{name}"]
    with pytest.raises(BadInput, match=r"s3://bucket/logs/one/\*\.txt: there is no file"):
        data.read(f"s3://key:secret@bucket/logs/one/*.txt?{asked}")


def test_an_address_that_needs_a_package_says_which(monkeypatch):
    for package in ("fsspec", "huggingface_hub"):
        monkeypatch.setitem(sys.modules, package, None)  # as if it were not installed
    with pytest.raises(BadInput, match="hf:// needs a package that is not .* pip install fsspec huggingface_hub"):
        data.read("hf://datasets/somebody/answers/a.csv")


def test_addresses_are_shown_without_secrets():
    assert remote.shown("https://me:word@host:8/a/b.csv?X-Amz-Signature=1#x") == "https://host:8/a/b.csv"
    assert remote.scheme("C:/a.csv") == remote.scheme("bank:x") == remote.scheme("a/b://c") == ""


def test_what_a_kill_left_unpacked_goes_with_the_next_call(tmp_path, monkeypatch):
    left = pathlib.Path(tempfile.gettempdir()) / ".lleval.0123456789ab"
    (left / "1").mkdir(parents=True)
    (left / "1" / "a.csv").write_bytes(CSV)
    (tmp_path / "a.zip").write_bytes(PACKED["a.zip"])
    same(data.read(tmp_path / "a.zip"))
    assert not left.exists()
    assert writing.is_passing(left / "1" / "a.csv")
    assert not writing.is_passing(tmp_path / "a.zip")


@opening.shelved
def the_one(word, **more):
    return opening.one(word, **more).read_bytes()


def test_one_file_is_asked_for(tmp_path, server):
    (tmp_path / "a.zip").write_bytes(PACKED["a.zip"])
    assert the_one(tmp_path / "a.zip") == CSV
    assert the_one(f"http://{server}/runs/a.csv") == CSV
    (tmp_path / "two.zip").write_bytes(zipped(a_csv=CSV, b_csv=CSV))
    with pytest.raises(BadInput, match=r"two.zip holds 2 files, such as a.csv, b.csv; name one"):
        the_one(tmp_path / "two.zip")
    with pytest.raises(BadInput, match="there is no file"):
        the_one(tmp_path / "nothing")
