"""Does a second model come to the key? It answers with the picture, options reordered, and is never shown the key."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from lleval_jax.live import options, shares
from lleval_jax.live.filters.answers import Answer, of_role
from lleval_jax.live.values import Question, Verdict

NAME, ROLE = "agreement", "judge"
WRONG = "key"  # the filter of suspected keys, where there are two judges
NO_FILTER = "the judge agrees with the keys no more than chance: this is no filter"
STEPS, START, REPEATS = 500, (0.1, 0.8), 200  # of EM; wrong keys and accuracies to begin with; of the bootstrap
TOLERANCE = 1e-9


class Judged(NamedTuple):
    """What one judge did.

    agreement  share of answers that are the key
    kappa      the same above chance (Cohen's), 1 at most, 0 for a judge that does not look
    unread     answers that could not be read
    useful     whether kappa is above 0 by more than chance; else its verdicts keep all, and say so
    """

    model: str
    agreement: shares.Share
    kappa: shares.Share
    unread: int

    @property
    def useful(self) -> bool:
        """Whether it may be called a filter."""
        return self.kappa.low > 0


class Latent(NamedTuple):
    """Wrong keys, from at least two judges.

    share      of wrong keys, with interval (bootstrap over papers)
    accuracy   of each judge: it picks the right option with this probability, else any other
    wrong      question id -> probability that its key is wrong
    """

    share: shares.Share
    accuracy: dict[str, float]
    wrong: dict[str, float]


def judge(model: str, questions: Sequence[Question], answers: Iterable[Answer], papers: Mapping[str, str]) -> Judged:
    """Agreement of one judge with the keys, and Cohen's kappa over the letters that were shown."""
    known = {question.id: question for question in questions}
    mine = [each for each in answers if each.role == ROLE and each.model == model and each.question in known]
    read = [each for each in mine if each.pick is not None]
    hits = [each.pick == known[each.question].key for each in read]
    agreement = shares.share_of(hits, [papers[known[each.question].element] for each in read])
    chance = _by_chance([(_shown(each.pick or 0, each), _shown(known[each.question].key, each)) for each in read])
    kappa = agreement.mapped(lambda value: (value - chance) / (1 - chance) if chance < 1 else 0.0)
    return Judged(model, agreement, kappa, len(mine) - len(read))


def verdicts(questions: Sequence[Question], answers: Iterable[Answer], useful: Iterable[str]) -> list[Verdict]:
    """Kept is what every judge picks in each order. Judges that are no filter do not count; without any all stay."""
    given, filters = of_role(answers, ROLE), set(useful)
    return [_verdict(each, given[each.id], filters) for each in questions if each.id in given]


def latent(questions: Sequence[Question], answers: Iterable[Answer], papers: Mapping[str, str]) -> Latent | None:
    """The share of wrong keys that several judges together show; None of fewer than two judges.

    Two classes of keys (Dawid and Skene 1979, with errors alike over options): a right key is the truth; of a wrong one
    the truth is any of the other three options. A judge picks the truth with its accuracy, else any other option. The
    two orders of one judge count as two answers; the interval is of a bootstrap over papers.
    """
    given = of_role(answers, ROLE)
    found = [each for each in questions if each.id in given]
    judges = sorted({each.model for each in (one for question in found for one in given[question.id])})
    if len(judges) < 2:
        return None
    most = max(len(given[each.id]) for each in found)
    picks = np.full((len(found), most), -1)
    of = np.zeros((len(found), most), int)
    for row, question in enumerate(found):
        for column, each in enumerate(given[question.id]):
            of[row, column] = judges.index(each.model)
            picks[row, column] = -1 if each.pick is None else (each.pick - question.key) % options.COUNT
    _, clusters = np.unique([papers[each.element] for each in found], return_inverse=True)
    same, where = np.unique(np.hstack([picks, of]), axis=0, return_inverse=True)  # few patterns: EM over them is quick
    picks, of, where = same[:, :most], same[:, most:], where.ravel()
    whole, accuracy, wrong = _fit(picks, of, len(judges), np.bincount(where).astype(float))
    rng, count = np.random.default_rng(0), int(clusters.max()) + 1
    drawn = rng.multinomial(count, np.full(count, 1 / count), REPEATS)[:, clusters]
    again = [_fit(picks, of, len(judges), np.bincount(where, each))[0] for each in drawn if each.any()]
    low, high = np.quantile(again, [(1 - shares.LEVEL) / 2, (1 + shares.LEVEL) / 2])
    share = shares.Share(whole, min(float(low), whole), max(float(high), whole), len(found), count)
    names = dict(zip(judges, accuracy.tolist(), strict=True))
    return Latent(share, names, {each.id: float(p) for each, p in zip(found, wrong[where], strict=True)})


def suspects(found: Latent, *, above: float = 0.5) -> list[Verdict]:
    """Keys that are wrong rather than right, by all judges together."""
    text = "the key is wrong with probability {:.2f}, by all judges"
    return [
        Verdict(question=id, filter=WRONG, keep=p <= above, score=p, reason=text.format(p) if p > above else "")
        for id, p in found.wrong.items()
    ]


def _verdict(question: Question, given: Sequence[Answer], useful: set[str]) -> Verdict:
    words = {"question": question.id, "filter": NAME, "request": given[0].request}
    counted = [each for each in given if each.model in useful]
    if not counted:
        return Verdict(**words, keep=True, score=float("nan"), reason=NO_FILTER)
    right = sum(each.pick == question.key for each in counted)
    unread = [each for each in counted if each.pick is None]
    reason = "" if right == len(counted) else f"the key was picked in {right} of {len(counted)} answers"
    if right == 0 and not unread:
        reason += ": it is suspect"
    if unread:
        reason = f"{len(unread)} of {len(counted)} answers were not read: {unread[0].reason}"
    return Verdict(**words, keep=not reason, score=right / len(counted), reason=reason)


def _shown(pick: int, answer: Answer) -> int:
    """The letter under which an option was shown."""
    return (pick - answer.order) % options.COUNT


def _by_chance(letters: Sequence[tuple[int, int]]) -> float:
    """How often two who do not look agree, with the letters that each uses."""
    if not letters:
        return 1 / options.COUNT
    picked, keys = (np.bincount(each, minlength=options.COUNT) / len(letters) for each in zip(*letters, strict=True))
    return float(picked @ keys)


def _fit(picks: np.ndarray, of: np.ndarray, judges: int, weights: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """EM: (share of wrong keys, (judges,) accuracies, (questions,) probability that the key is wrong).

    picks (questions, answers): the option picked, counted from the key; -1 for none. of (questions, answers): who.
    """
    share, accuracy = START[0], np.full(judges, START[1])
    seen = picks >= 0
    hit = picks[:, :, None] == np.arange(options.COUNT)  # (questions, answers, truth)
    once = weights[:, None] * seen
    total = np.bincount(of.ravel(), once.ravel(), judges)
    truth = np.zeros((len(picks), options.COUNT))
    for _ in range(STEPS):
        right = accuracy[of][:, :, None]
        single = np.where(hit, np.log(right), np.log((1 - right) / (options.COUNT - 1)))
        prior = np.log([1 - share, *[share / (options.COUNT - 1)] * (options.COUNT - 1)])
        log = prior + np.where(seen[:, :, None], single, 0).sum(1)
        truth = np.exp(log - log.max(1, keepdims=True))
        truth /= truth.sum(1, keepdims=True)
        good = (truth[:, None, :] * hit).sum(2) * once
        before, share = share, float(np.clip(weights @ (1 - truth[:, 0]) / weights.sum(), 1e-6, 1 - 1e-6))
        accuracy = np.clip(np.bincount(of.ravel(), good.ravel(), judges) / np.maximum(total, 1e-9), 1e-3, 1 - 1e-3)
        if abs(share - before) < TOLERANCE:
            break
    return share, accuracy, 1 - truth[:, 0]
