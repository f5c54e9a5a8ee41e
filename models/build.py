"""Makes the banks that ship: `python models/build.py livexiv-vqa`; the data it needs are in each bank's folder.

    --out DIR           write the bank there and leave the one that ships alone
    --from-shared DIR   first make answers.npz anew from a folder that holds the files of its source

recipe.toml says what is done; the bank, the demonstration answers and their true scores follow from it.
"""

import argparse
import dataclasses
import hashlib
import pathlib
import sys
import time
import tomllib
import zlib

import numpy as np
import pandas as pd

import lleval_jax as ll
from lleval_jax.cli.left_out import RANDOM, STRONGEST, left_out
from lleval_jax.data.formats.swe_bench import repository

HERE = pathlib.Path(__file__).resolve().parent
LEVEL = 0.95  # of the intervals that are checked on models left out


def parts(shared: pathlib.Path, recipe: dict) -> list[dict[str, np.ndarray]]:
    """Of each version: the names of models and items, and the answers (models, items), as the source has them.

    Versions of a living benchmark are files of their own; those of a board of repositories are parts of one file.
    """
    if "source" not in recipe:
        files = [shared / "livexiv" / f"{recipe['modality']}_{version}.npz" for version in recipe["versions"]]
        return [dict(np.load(file, allow_pickle=False)) for file in files]
    whole = np.load(shared / recipe["source"], allow_pickle=False)
    of = np.array([repository(item) for item in whole["items"].tolist()])
    picked = [np.flatnonzero(of == version) for version in recipe["versions"]]
    return [
        {"models": whole["models"], "items": whole["items"][mine], "responses": whole["responses"][:, mine]}
        for mine in picked
    ]


def pack(shared: pathlib.Path, recipe: dict, path: pathlib.Path) -> None:
    """All versions as one file: answers as bits, names as compressed text.

    models, versions    names
    size (versions,)    items of each version, in order
    answered (models, versions)  whether the model was asked; all or nothing
    bits                (models, items) answers, eight to a byte, 0 where not asked
    names               the items' names, one a line, zlib
    """
    found = parts(shared, recipe)
    models = max((part["models"].tolist() for part in found), key=len)
    blocks, answered = [], []
    for part in found:
        has = np.isin(models, part["models"])
        block = np.zeros((len(models), part["responses"].shape[1]), bool)
        block[[models.index(model) for model in part["models"].tolist()]] = part["responses"] == 1
        blocks.append(block)
        answered.append(has)
    names = "\n".join(name for part in found for name in part["items"].tolist())
    np.savez(
        path,
        models=np.array(models),
        versions=np.array(recipe["versions"]),
        size=np.array([block.shape[1] for block in blocks]),
        answered=np.stack(answered, 1),
        bits=np.packbits(np.concatenate(blocks, 1)),
        names=np.frombuffer(zlib.compress(names.encode(), 9), np.uint8),
    )


def answers(path: pathlib.Path) -> ll.Responses:
    """What `pack` wrote."""
    with np.load(path, allow_pickle=False) as kept:
        models, size = kept["models"].tolist(), kept["size"]
        shape = len(models), int(size.sum())
        scores = np.unpackbits(kept["bits"], count=shape[0] * shape[1]).reshape(shape)
        names = zlib.decompress(kept["names"].tobytes()).decode().split("\n")
        seen, group = np.repeat(kept["answered"], size, axis=1), np.repeat(kept["versions"], size)
    return ll.Responses.build(scores.astype(np.float32), seen=seen, rows=models, items=names, group=group.tolist())


def recipe_of(name: str) -> dict:
    """The recipe of a bank; `BadInput` unless its data are those it names."""
    recipe = tomllib.loads((HERE / name / "recipe.toml").read_text(encoding="utf-8"))
    found = file_hash(HERE / name / recipe["data"])
    if found != recipe["sha256"]:
        raise ll.BadInput(f"{name}/{recipe['data']} has {found}; the recipe says {recipe['sha256']}")
    return recipe


def fitting(recipe: dict) -> dict:
    """How the items are fitted; `NotConverged` rather than a bad bank."""
    words = {name: recipe[name] for name in ("model", "dims", "precision", "tol", "seed")} | {"strict": True}
    prior = {name: tuple(numbers) for name, numbers in recipe.get("prior", {}).items()}
    return words | ({"prior": prior} if prior else {})


def choosing(recipe: dict, guard: ll.Guard) -> dict:
    """How the anchors are chosen."""
    return {name: recipe[name] for name in ("k", "by", "name", "version", "seed")} | {"guard": guard}


def calibration(recipe: dict, responses: ll.Responses) -> tuple[ll.Responses, ll.Guard]:
    """The models that the bank is made from, and what their answers can teach."""
    kept = responses.take([i for i, row in enumerate(responses.rows) if row not in recipe["left_out"]])
    return kept, ll.estimable.check(kept, model=recipe["model"], dims=recipe["dims"], seed=recipe["seed"])


def verdict(recipe: dict, responses: ll.Responses, bank: ll.ItemBank) -> ll.Verdict:
    """What `lleval calibrate` would say against the bank: the guard's words, and models left out of everything."""
    kept, guard = calibration(recipe, responses)
    tried = left_out(kept, bank, fitting(recipe), choosing(recipe, guard), LEVEL, print)
    found = {one.who: one.found for one in tried}
    return dataclasses.replace(ll.estimable.verdict(guard), random=found[RANDOM], strongest=found[STRONGEST])


def make(recipe: dict, responses: ll.Responses) -> ll.ItemBank:
    """Fit the items to all models but those left out, choose the anchors, and replay sessions for `lleval ask`."""
    kept, guard = calibration(recipe, responses)
    fitted = ll.irt.fit(kept, **fitting(recipe))
    bank = ll.anchors.choose(fitted, responses=kept, **choosing(recipe, guard))
    bank = ll.sessions.prepare(bank, fit=fitted, responses=kept, seed=recipe["seed"])
    single = {
        name: array.astype(np.float32)
        for name, array in bank.learned._asdict().items()
        if array.dtype == np.float64 and array.size > 1000
    }
    source = ll.Source(
        files={recipe["data"]: recipe["sha256"]},
        version=ll.__version__,
        command=f"python models/build.py {recipe['name']}",
        seed=recipe["seed"],
        bank=recipe["name"],
        cite=tuple(recipe["cite"]),
    )
    short = {name: getattr(bank, name).astype(np.float32) for name in ("slope", "intercept", "floor", "ceiling")}
    bank = dataclasses.replace(bank, **short, learned=bank.learned._replace(**single), source=source)
    return dataclasses.replace(bank, verdict=verdict(recipe, responses, bank))


def demo(recipe: dict, responses: ll.Responses, bank: ll.ItemBank) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Answers of the models left out to the anchors alone, and their true scores."""
    rows = [responses.rows.index(row) for row in recipe["left_out"]]
    left = responses.take(rows)
    asked = left.select(bank.anchor_items).to_frame()[["model", "item", "score", "group"]]
    truth = left.select(bank.items).scores.astype(float) @ bank.target_weight.T
    scores = pd.DataFrame(
        [(row, target, truth[i, t]) for i, row in enumerate(left.rows) for t, target in enumerate(bank.targets)],
        columns=["model", "group", "score"],
    )
    return asked, scores


def file_hash(path: pathlib.Path) -> str:
    """As it stands in a recipe."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="folder in models/")
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--from-shared", type=pathlib.Path, metavar="DIR")
    options = parser.parse_args()
    folder = HERE / options.name
    if options.from_shared is not None:
        recipe = tomllib.loads((folder / "recipe.toml").read_text(encoding="utf-8"))
        pack(options.from_shared, recipe, folder / recipe["data"])
        print(f"{folder / recipe['data']}: {file_hash(folder / recipe['data'])}")
    start = time.perf_counter()
    recipe = recipe_of(options.name)
    responses = answers(folder / recipe["data"])
    bank = make(recipe, responses)
    out = options.out or folder
    ll.save(bank, out)
    asked, scores = demo(recipe, responses, bank)
    asked.to_parquet(out / "demo.parquet", index=False, compression="zstd")
    scores.to_csv(out / "demo_truth.csv", index=False, float_format="%.6f", lineterminator="\n")
    print(f"{out}: {len(bank.items)} items, {len(bank.anchor_items)} anchors, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    try:
        main()
    except ll.BadInput as error:
        sys.exit(f"error: {error}")
