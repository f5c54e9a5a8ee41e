"""What the tasks of this folder need: rows from `data/`, pictures from `../images`, and a strict reader of letters."""

# pyright: reportMissingImports=false

import pathlib
import re

HERE = pathlib.Path(__file__).parent
LETTERS = "ABCD"


def dataset(config):
    """The rows of a config, as {"test": rows}."""
    import datasets

    place = str(HERE / "data" / f"{config}.parquet")
    return {"test": datasets.Dataset.from_parquet(place)}


def options(doc):
    """The four options, in the order that is shown."""
    return [doc[f"option_{letter}"] for letter in "abcd"]


def doc_to_text(doc, lmms_eval_specific_kwargs=None):
    """Table, if there is one, question, lettered options, and the request for a letter."""
    lines = [f"{letter}. {option}" for letter, option in zip(LETTERS, options(doc), strict=True)]
    seen = ["<image>"] if doc["image_file"] and lmms_eval_specific_kwargs is None else []
    shown = [doc["table"], ""] if doc["table"] and not doc["image_file"] else []
    return "\n".join([*seen, *shown, doc["question"], *lines, "Answer with the letter of the right option.\nAnswer:"])


def doc_to_image(doc):
    """The picture of a row, opened from the folder next to this one."""
    from PIL import Image

    if not doc["image_file"]:
        return []
    place = HERE.parent / "images" / doc["image_file"]
    if not place.exists():
        raise FileNotFoundError(
            f"{place}: it is held by reference; cut it out first: lleval live restore {HERE.parent}"
        )
    return [Image.open(place).convert("RGB")]


def doc_to_target(doc):
    """The letter of the key."""
    return doc["answer"]


def place_of_key(doc):
    """Its place."""
    return LETTERS.index(doc["answer"])


def letter_of(reply, shown):
    """The letter that a reply says: the last one that stands alone, else the one option whose text it has, else ""."""
    alone = re.findall(r"(?<![A-Za-z0-9'])([ABCD])(?![A-Za-z0-9'])", reply)
    if alone:
        return alone[-1]
    text = reply.casefold()
    within = [letter for letter, option in zip(LETTERS, shown, strict=True) if option.casefold() in text]
    return within[0] if len(within) == 1 else ""


def process_results(doc, results):
    """Right or wrong; a reply without a letter is wrong, and counted."""
    said = letter_of(results[0], options(doc))
    return {"acc": float(said == doc["answer"]), "invalid": float(said == "")}
