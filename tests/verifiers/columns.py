"""Verifiers that read columns of a row, in every form, for the tests of the context."""

from collections.abc import Mapping, Sequence
from typing import Any

from verifiers import BatchVerifier, Verdict


def right(detail: str) -> Verdict:
    return Verdict(1.0, "correct", detail=detail)


def fixed(completion: str, answer: str) -> Verdict:
    return right(f"{completion} {answer}")


def asks_for_a_column(completion: str, answer: str, level: int) -> Verdict:
    return right(f"level {level}")


def asks_for_all(
    completion: str, answer: str, *, columns: Mapping[str, Any], prompt: Any, problem_id: str, level: int
) -> Verdict:
    return right(f"level {level}, extra {columns['extra info']}, prompt {prompt[-1]['content']}, id {problem_id}")


def gets_everything(completion: str, answer: str, **context: object) -> Verdict:
    return right(",".join(sorted(context)))


def has_other_names(response: str, truth: str, level: int = 0) -> Verdict:
    return right(f"level {level}")


def with_a_setting(completion: str, answer: str, level: int = 0, **context: object) -> Verdict:
    return right(f"level {level}")


class Checks:
    def __call__(self, completion: str, answer: str, level: int) -> Verdict:
        return right(f"an object, level {level}")


def _batch(
    completions: Sequence[str],
    answers: Sequence[str],
    level: Sequence[int | None],
    prompts: Sequence[Any],
    problem_ids: Sequence[str | None],
    columns: Sequence[Mapping[str, Any] | None],
) -> list[Verdict]:
    rows = zip(completions, answers, level, prompts, problem_ids, columns, strict=True)
    return [
        Verdict(
            float(completion == answer),
            "correct" if completion == answer else "wrong",
            detail=f"{number} {prompt and prompt[-1]['content']} {id} {(row or {}).get('extra info')}",
        )
        for completion, answer, number, prompt, id, row in rows
    ]


def _plain_batch(completions: Sequence[str], answers: Sequence[str]) -> list[bool]:
    return [completion == answer for completion, answer in zip(completions, answers, strict=True)]


batch, plain_batch = BatchVerifier(_batch), BatchVerifier(_plain_batch)
