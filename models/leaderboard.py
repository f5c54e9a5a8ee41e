"""Make models/sloth-open-llm anew from a folder that holds sloth/*.csv: `python models/leaderboard.py DIR`."""

import pathlib
import sys

import pandas as pd

HERE = pathlib.Path(__file__).resolve().parent / "sloth-open-llm"
FIRST = ["MMLU", "ARC", "HellaSwag", "Winogrande", "TruthfulQA", "GSM8K"]
SECOND = ["IFEval", "BBH", "MATH Lvl 5", "GPQA", "MUSR", "MMLU-PRO"]
FACTS = ["model", "family", "base_family", "instruct", "params", "tokens"]


def main(folder: pathlib.Path) -> None:
    """Sizes and tokens as counts and as published; `corrections.csv` is written by hand and not touched."""
    models = pd.read_csv(folder / "models.csv").query("data_version == 'v2'")
    models = models.assign(params=models["params_b"] * 1e9, tokens=models["tokens_t"] * 1e12)
    known = models.groupby("base_family")["tokens"].transform("count") > 0  # of some model of the lineage
    models = models[models[FIRST + SECOND].notna().any(axis=1) & known]
    table = models[FACTS + FIRST + SECOND].sort_values(["family", "params"], kind="stable")
    table.to_csv(HERE / "leaderboard.csv", index=False, float_format="%.10g", lineterminator="\n")
    bounds = pd.read_csv(folder / "lower_bounds.csv").set_index("benchmark")["lower_bound_chance"]
    floors = bounds[FIRST + SECOND].rename("floor")
    floors.to_csv(HERE / "floors.csv", float_format="%.6g", lineterminator="\n")
    print(f"{HERE}: {len(table)} models, {len(floors)} benchmarks")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
