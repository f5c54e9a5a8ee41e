"""Which column of a table is what: as the caller says, by our own names, or by the names that others use."""

import functools
import json
import re
import shlex
from collections.abc import Mapping, Sequence

from lleval_jax.errors import BadInput, nearest, require

Found = dict[str, str]  # what a column is -> its name in the table
Aliases = Mapping[str, Sequence[Sequence[str]]]  # what a column is -> groups of others' names for it, the surest first

ANSWERS: Aliases = {  # as `plain` gives them
    "model": (
        ("modelname", "modelid", "modelalias", "llm", "llmname"),
        ("system", "systemname", "systemid", "person", "personid", "respondent", "respondentid", "examinee")
        + ("examineeid", "student", "studentid", "participant", "participantid", "subjectid", "subject"),
    ),
    "item": (
        ("itemid", "itemname", "questionid", "qid", "problemid", "exampleid", "instanceid", "sampleid", "docid")
        + ("dochash",),
        ("question", "questionname", "problem", "taskid", "promptid"),
        ("prompt", "query", "input", "example", "instance", "sample", "stimulus"),
    ),
    "score": (
        ("correct", "iscorrect", "correctness", "accuracy", "acc", "exactmatch", "em", "passed", "pass", "success"),
        ("resp", "response", "value", "result", "outcome"),
    ),
    "prompt": (("promptid", "promptname", "template", "templateid", "templatename"),),
    "group": (),
    "weight": (),
    "repeat": (("repeatid", "rep", "repetition", "replicate", "epoch", "trial", "attempt"),),
}
SURE, ALL = 1, 3  # how many groups of names to go through
EITHER = "id"  # the item or, where something else is the item, the model
SEVERAL = "subject"  # in psychology who answered, in MMLU what a question is about
MOST = 12  # columns named in a message


@functools.lru_cache(maxsize=1 << 16)  # a wide table has many, and each use asks
def plain(name: str) -> str:
    """A column's name without what people write differently: case, blanks, "_", "-", "."."""
    return re.sub(r"[\s_.\-\ufeff]+", "", name).casefold()


def find(where: str, have: Sequence[str], aliases: Aliases, asked: Mapping[str, str] | None = None) -> Found:
    """What is known of a table's columns without a guess: those asked for, and those with our own names.

    Raises:
        BadInput: `asked` names no such column, or a use that there is none of; or two columns have one name.
    """
    found: Found = {}
    for role, name in (asked or {}).items():
        known = f"a column is one of {', '.join(aliases)}{nearest(role, aliases)}"
        require(role in aliases, f"there is no use {role!r} of a column; {known}")
        found[role] = _named(where, have, name)
    for role in aliases:
        if role not in found:
            free = [name for name in have if name not in found.values()]
            exact = [name for name in free if name == role]
            _take(where, role, exact or [name for name in free if plain(name) == role], found)
    return found


def answers(
    where: str, have: Sequence[str], asked: Mapping[str, str] | None = None, rows: str = "model", groups: int = ALL
) -> tuple[Found, Found]:
    """(what each column of a table of answers is, what of it is a guess); a row is a model or a prompt.

    Raises:
        BadInput: as `find`; or several columns could be the same; or "subject" could be the model or a group.
    """
    found = find(where, have, ANSWERS, asked)
    if rows == "model" and "prompt" not in (asked or {}):
        found.pop("prompt", None)
    known = dict(found)
    wanted = ("score", "model", "item") if rows == "model" else ("score", "model", "prompt", "item")
    for group in range(groups):
        for role in wanted:
            _take(where, role, _free(have, found, *ANSWERS[role][group : group + 1]), found)
        if group and "model" in found or group == groups - 1 > 0:
            _either(have, found)
    repeats = _free(have, found, *ANSWERS["repeat"])
    if "repeat" not in found and len(repeats) == 1:
        found["repeat"] = repeats[0]
    guesses = {role: name for role, name in found.items() if role not in known}
    if plain(guesses.get("model", "")) == SEVERAL:
        name = guesses["model"]
        what = f"{where}: column {name!r} can be the model that answered, or the group of an item."
        raise BadInput(what, **hints({"model": name}, {"group": name}))
    return found, guesses


def is_sure(role: str, name: str) -> bool:
    """Whether a guess is by a name that others give to nothing else."""
    return plain(name) != EITHER and not (role == "model" and plain(name) in ANSWERS[role][1])


def missing(where: str, have: Sequence[str], needed: Sequence[str], found: Found) -> BadInput:
    """What to say of a table that lacks columns."""
    lack = [role for role in needed if role not in found]
    more = f" and {len(have) - MOST} more" if len(have) > MOST else ""
    read = "".join(f" {name!r} is read as {role}." for role, name in found.items() if name != role)
    what = (
        f"{where} has no column{'s' if len(lack) > 1 else ''} {', '.join(map(repr, lack))}; it has "
        f"{', '.join(map(repr, have[:MOST])) or 'no columns'}{more}.{read} Answers need {', '.join(needed)}."
    )
    return BadInput(what, **hints(dict.fromkeys(lack, "NAME")))


def said(guesses: Found) -> str:
    """What to tell of guesses."""
    return "read " + ", ".join(f"{name!r} as {role}" for role, name in guesses.items())


def hints(*ways: Found, otherwise: str = "") -> dict[str, str]:
    """How each face says what a column is, in one of several ways; `otherwise` says why one would."""
    python = " or ".join(f"columns={json.dumps(way, ensure_ascii=False)}" for way in ways)
    shell = " or ".join(f"--columns {_typed(way)}" for way in ways)
    return {
        face: f"Pass {' '.join(filter(None, (way, otherwise)))}."
        for face, way in (("python", python), ("shell", shell))
    }


def _typed(way: Found) -> str:
    """As it is typed in a shell: a pair with a comma in quotes, as in a CSV, and the whole in quotes if need be."""
    pairs = [f"{role}={name}" for role, name in way.items()]
    quoted = ['"' + pair.replace('"', '""') + '"' if set(pair) & set(',"') else pair for pair in pairs]
    return shlex.quote(",".join(quoted))


def _named(where: str, have: Sequence[str], name: str) -> str:
    """The column that the caller means."""
    fit = [one for one in have if one == name] or [one for one in have if plain(one) == plain(name)]
    columns = ", ".join(map(repr, have[:MOST]))
    require(bool(fit), f"{where} has no column {name!r}; it has {columns}{nearest(name, have)}")
    require(len(fit) == 1, f"{where} has {len(fit)} columns named {name!r}")
    return fit[0]


def _free(have: Sequence[str], found: Found, names: Sequence[str] = ()) -> list[str]:
    """The columns with one of these names that are nothing else yet."""
    return [name for name in have if plain(name) in names and name not in found.values()]


def _take(where: str, role: str, fit: Sequence[str], found: Found) -> None:
    """Let the one column that fits be `role`, if nothing is yet. `BadInput` where several fit."""
    if role in found or not fit:
        return
    if len(fit) > 1 and len(set(fit)) == 1:
        raise BadInput(f"{where} has {len(fit)} columns named {fit[0]!r}")
    if len(fit) > 1:
        what = f"{where}: columns {', '.join(map(repr, fit))} could each be the {role}."
        raise BadInput(what, **hints(*({role: name} for name in fit)))
    found[role] = fit[0]


def _either(have: Sequence[str], found: Found) -> None:
    """Let a column "id" be the item, or the model where there is an item."""
    fit = _free(have, found, (EITHER,))
    for role in ("item", "model") if len(fit) == 1 else ():
        if role not in found:
            found[role] = fit[0]
            return
