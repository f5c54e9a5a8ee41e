"""Makes the laws that ship: `python models/law.py sloth-open-llm-v1`; the leaderboards they rest on lie beside them.

    --out DIR   write the law there and leave the one that ships alone

recipe.toml says what is done; the law follows from it.
"""

import argparse
import dataclasses
import pathlib
import sys
import time
import tomllib

import lleval_jax as ll

HERE = pathlib.Path(__file__).resolve().parent


def recipe_of(name: str) -> dict:
    """The recipe of a law; `BadInput` if there is none."""
    path = HERE / name / "recipe.toml"
    if not path.is_file():
        raise ll.BadInput(f"there is no {path}")
    return tomllib.loads(path.read_text(encoding="utf-8"))


def board_of(recipe: dict) -> ll.Leaderboard:
    """What the law is learned from; `BadInput` unless its files are those that the recipe names."""
    board = ll.read_leaderboard(HERE / recipe["leaderboard"] / "leaderboard.csv")
    if board.source.files != recipe["sha256"]:
        raise ll.BadInput(f"{recipe['leaderboard']} has {board.source.files}; the recipe says {recipe['sha256']}")
    return board.select(recipe["benchmarks"])


def make(recipe: dict) -> ll.FitResult:
    """The law, as the recipe wants it; `NotConverged` rather than a bad one."""
    law = ll.sloth.fit(board_of(recipe), skills=recipe["skills"], link=recipe["link"], seed=recipe["seed"], strict=True)
    made = {"version": ll.__version__, "command": f"python models/law.py {recipe['name']}"}
    return dataclasses.replace(law, source=dataclasses.replace(law.source, **made))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="folder in models/")
    parser.add_argument("--out", type=pathlib.Path)
    options = parser.parse_args()
    start = time.perf_counter()
    law = make(recipe_of(options.name))
    out = options.out or HERE / options.name
    ll.save(law, out)
    print(f"{out}: {len(law.rows)} models x {len(law.items)} benchmarks, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    try:
        main()
    except (ll.BadInput, ll.NotConverged) as error:
        sys.exit(f"error: {error}")
