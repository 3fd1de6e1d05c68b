"""Ground truths of any JSON type for verifiers that compare text.

A number or a truth value is compared as JSON writes it; a list holds accepted answers, any of which is right. Nothing
can be compared with an object, with null, or with an empty list: the ground truth is broken.
"""

from collections.abc import Callable, Sequence

from verifiers.values import Json, as_text
from verifiers.verdict import Pair, Verdict


def accepted_texts(answer: Json) -> list[str]:
    """The texts that a ground truth accepts; none if it is broken."""
    entries = answer if isinstance(answer, list | tuple) else [answer]
    if any(entry is None or isinstance(entry, list | tuple | dict) for entry in entries):
        return []
    return [as_text(entry) for entry in entries]


def any_accepted(pairs: Sequence[Pair], check: Callable[[Sequence[Pair]], list[Verdict]]) -> list[Verdict]:
    """The verdicts of `check`, which takes texts as ground truths: for each pair the best of those it accepts."""
    if all(isinstance(pair[1], str) for pair in pairs):
        return check(pairs)
    texts = [accepted_texts(pair[1]) for pair in pairs]
    flat: list[Pair] = [(pair[0], text) for pair, accepted in zip(pairs, texts, strict=True) for text in accepted]
    verdicts = iter(check(flat))
    return [
        best([next(verdicts) for _ in accepted]) if accepted else broken(pair[1])
        for pair, accepted in zip(pairs, texts, strict=True)
    ]


def best(verdicts: Sequence[Verdict]) -> Verdict:
    """The verdict with the highest score; the first one if none has a score."""
    scored = [verdict for verdict in verdicts if verdict.score is not None]
    return max(scored, key=lambda verdict: verdict.score or 0.0) if scored else verdicts[0]


def broken(answer: Json) -> Verdict:
    kind = type(answer).__name__
    return Verdict(
        None,
        "bad_gold",
        detail=f"the ground truth is a {kind}, expected text, a number or a list of accepted ones: {answer!r}"[:200],
    )
