"""Tables of the guard and of wrong keys."""

from __future__ import annotations

from bench.kit.results import read
from bench.kit.tables import bold, markdown, percent


def guard() -> str:
    """Warnings by kind of design."""
    found = read("trust", "trust_guard")
    rows = [
        (
            "all that cannot be identified",
            percent(found["warned_unidentifiable"]),
            f"{percent(found['bars'][0])} at least",
        )
    ]
    rows += [(kind, percent(share), "") for kind, share in found["by_design"].items() if kind != "sound"]
    rows.append(("sound", percent(found["warned_sound"]), f"{percent(found['bars'][1])} at most"))
    return markdown(("designs", "warned", "bar"), rows)


def between() -> str:
    """How often the 2PL is refused by number of models."""
    found = read("trust", "trust_guard")["too_few_by_models"]
    return markdown(list(found), [[percent(share) for share in found.values()]])


def keys() -> str:
    """Wrong keys found, and false alarms."""
    found = read("trust", "trust_keys")
    everybody, few = found["all_models"], found["100_models"]
    least, most = found["bars"]

    def cells(r: dict) -> list[str]:
        named = (
            bold(percent(r["found"]), r["found"] < least),
            bold(percent(r["false_alarms"], 1), r["false_alarms"] > most),
        )
        return list(named)

    rows = [
        (name, r["planted"], *cells(r), *cells(few["sets"][name]), ", ".join(r["named_untouched"]))
        for name, r in everybody["sets"].items()
    ]
    rows.append(("all", "", *cells(everybody), *cells(few), ""))
    head = ("form", "planted", "all models: found", "false alarms", "100 models: found", "false alarms")
    return markdown((*head, "items named without planting"), rows)


TABLES = {"guard": guard, "between": between, "keys": keys}
