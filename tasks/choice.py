"""Multiple choice: MMLU, ARC, CommonsenseQA, MedMCQA and tables like them, as letters to choose from.

{"question": ..., "choices": ["Rome", "Paris"], "answer": 1}                                   a place, from 0
{"question": ..., "choices": {"text": [...], "label": ["A", "B"]}, "answerKey": "B"}           a label
{"question": ..., "options": {"A": "Rome", "B": "Paris"}, "answer": "Paris"}                   a text
{"Question": ..., "A": "Rome", "B": "Paris", "Answer": "B"}                                    a column each
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import Any

from tasks.columns import Row, shortened, value_at
from tasks.dataset import DatasetTask
from tasks.problem import Messages, Problem
from tasks.rows import Source, load_rows, require_columns
from verifiers.values import Json, as_text, is_empty

INSTRUCTION = "Answer with the letter of the right choice, within \\boxed{}."
DEFAULT_LETTERS = 10  # those of the verifier `choice`, without settings


@dataclass(frozen=True)
class MultipleChoice(DatasetTask):
    """A question with choices, shown as `A. ...`, `B. ...`; the ground truth is a letter, for the verifier `choice`.

    `choices_column` holds a list of texts, an object of texts by label, or lists `text` and `label`; where each choice
    has a column of its own, it is a list of columns. The answer is a label, a choice's own text, or a place, counted
    from `first_place`; a whole number that is a label counts as one.
    """

    choices_column: str | list[str] = "choices"
    first_place: int = 0
    verifier: str | dict[str, Any] = "choice"
    instruction: str = INSTRUCTION

    def load(self, source: Source, split: str) -> Sequence[Row]:
        rows = load_rows(source, split, self.subset)
        choices = [self.choices_column] if isinstance(self.choices_column, str) else self.choices_column
        columns = [self.question_column, *choices, self.answer_column, self.cohort_column]
        require_columns(rows, [column for column in columns if column], source)
        return rows

    def question(self, row: Row, id: str, source: str) -> str | Messages:
        question = self._text(row, self.question_column, id, source).rstrip()
        texts = self._choices(row, id, source).values()
        shown = [f"{letter}. {text}" for letter, text in zip(ascii_uppercase, texts, strict=False)]
        return "\n".join([question, "", *shown])

    def _answer(self, row: Row, id: str, source: str) -> Json:
        choices = self._choices(row, id, source)
        answer = super()._answer(row, id, source)
        try:
            return ascii_uppercase[place_of(answer, choices, self.first_place)]
        except ValueError as error:
            raise ValueError(f"dataset {source!r}, row {id}: column {self.answer_column!r} {error}") from None

    def make_problem(self, row: Row, id: str, source: str) -> Problem:
        problem = super().make_problem(row, id, source)
        count = len(self._choices(row, id, source))
        if count <= DEFAULT_LETTERS or problem.verifier != "choice":
            return problem
        return replace(problem, verifier={"name": "choice", "letters": ascii_uppercase[:count]})

    def _choices(self, row: Row, id: str, source: str) -> dict[str, str]:
        """The texts of the choices by their labels."""
        try:
            if isinstance(self.choices_column, str):
                choices = labelled(value_at(row, self.choices_column))
            else:
                values = {column: value_at(row, column) for column in self.choices_column}
                choices = {column: as_text(value) for column, value in values.items() if not is_empty(value)}
            if not 2 <= len(choices) <= len(ascii_uppercase):
                raise ValueError(f"got {len(choices)} choices, expected 2 to {len(ascii_uppercase)}")
        except (ValueError, KeyError) as error:
            column = self.choices_column if isinstance(self.choices_column, str) else ", ".join(self.choices_column)
            raise ValueError(f"dataset {source!r}, row {id}: column {column!r}: {error.args[0]}") from None
        return choices


def labelled(value: Any) -> dict[str, str]:
    """Choices by label: those of the data, or letters. Raises `ValueError`."""
    if isinstance(value, Mapping):
        texts = value.get("text", value.get("texts"))
        labels = value.get("label", value.get("labels"))
        if not isinstance(texts, list):
            return {str(label): as_text(text) for label, text in value.items() if not is_empty(text)}
        if not isinstance(labels, list) or len(labels) != len(texts) or len(set(map(str, labels))) < len(labels):
            raise ValueError(f"expected as many different labels as texts, got {shortened(dict(value))}")
        return {str(label): as_text(text) for label, text in zip(labels, texts, strict=True)}
    if not isinstance(value, list) or any(is_empty(text) for text in value):
        raise ValueError(f"expected a list of texts or an object of texts by label, got {shortened(value)}")
    if value and all(isinstance(entry, Mapping) and {"label", "text"} <= entry.keys() for entry in value):
        return {str(entry["label"]): as_text(entry["text"]) for entry in value}
    if len(value) > len(ascii_uppercase):
        raise ValueError(f"got {len(value)} choices, expected 2 to {len(ascii_uppercase)}")
    return dict(zip(ascii_uppercase, map(as_text, value), strict=False))


def place_of(answer: Json, choices: Mapping[str, str], first_place: int = 0) -> int:
    """The place of the right choice, from 0. Raises `ValueError` if the answer names none, or more than one."""
    labels, texts = list(choices), [text.strip() for text in choices.values()]
    if isinstance(answer, float) and answer.is_integer():
        answer = int(answer)
    given = as_text(answer).strip()
    is_number = isinstance(answer, int) and not isinstance(answer, bool)
    bare = re.fullmatch(r"\(?([A-Za-z0-9]+)[).:]?", given)
    readings = [place for place, label in enumerate(labels) if bare and label.upper() == bare[1].upper()]
    if not is_number:  # a number that a table holds is a place, also where choices are numbers themselves
        readings += [place for place, text in enumerate(texts) if text == given]
    place = int(given) - first_place if given.isdecimal() else -1
    if 0 <= place < len(labels) and not (is_number and readings):
        readings.append(place)
    if not readings:
        expected = f"a label ({', '.join(labels)}), the text of a choice, or its place from {first_place}"
        raise ValueError(f"holds {shortened(given)}, expected {expected}")
    if len(set(readings)) > 1:
        named = " and ".join(labels[place] for place in dict.fromkeys(readings))
        raise ValueError(f"holds {given!r}, which can mean the choices {named}; name one of them in another way")
    return readings[0]
