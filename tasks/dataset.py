"""A task from any table with questions and, unless the verifier needs none, answers."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from itertools import islice
from typing import Annotated, Any, Literal

from pydantic import Field

from tasks.columns import Row, shortened, value_at
from tasks.messages import check_prompt, text_field
from tasks.problem import Message, Messages, Problem
from tasks.prompts import (
    Prompt,
    checked_examples,
    example_turns,
    filled,
    find_prompt,
    has_system,
    messages_in,
    named_in,
    with_question,
    with_turns,
)
from tasks.reading import Table, named, read
from tasks.rows import Source, files_of, load_rows, require_columns, shuffled
from tasks.splits import Split, content_key, split_by_content, split_from_test
from tasks.table import FieldError
from verifiers.values import Json, as_text, is_empty

# The columns that a test set may have under other names.
COLUMNS = Literal["question", "answer", "solution", "cohort"]
# Knobs that say which rows are used, and nothing of how one is read.
UNREAD = ("seed", "train", "test", "train_split", "test_split", "held_out_rows", "overlap", "examples", "few_shot")


@dataclass(frozen=True)
class DatasetTask:
    """One problem per row.

    `train` and `test` are files (.jsonl, .json, .csv, .parquet, ...), globs, lists of these, folders, or hub ids with
    `subset` (and `test_subset`, where the test set is another data set). A split may take a part: `train[:1000]`.

    **Columns.** `question_column` holds text or a list of messages. `answer_column` holds any JSON value, which reaches
    the verifier as it is; leave it empty where the verifier needs none. Dots go into nested columns
    (`reward_model.ground_truth`), numbers into lists (`answers.0`). `cohort_column` and `solution_column` may be left
    empty. Where the test set has other columns, `test_columns` names them: `{question: problem, answer: target}`. All
    other columns reach the verifier too.

    **Prompts.** `instruction` is appended to each question, on a line of its own. Instead, `prompt` names a prompt out
    of a paper (`plain`, `boxed`, `gsm8k`, `r1`: the table is in `tasks/prompts.py`), or is a format of your own with
    any column in braces: `"{question} Put your answer in \\boxed{}."`. `system` is the system message of the rows that
    have none. Worked examples before the question are given as `examples` (question and answer each), or are the first
    `few_shot` rows of the training set.

    **Held-out questions are never trained on.** Questions are the same if their texts are, but for white space; answers
    and system messages do not matter. Without a `test` set, a fifth of the different questions, at most 512, are held
    out of `train` with all their rows; `held_out_rows` gives another number. They are the first, the sixth and so on in
    the order of the file, so rows that are added at its end change nothing. With a `test` set, rows of `train` that ask
    one of its questions are left out of training; `overlap: keep` trains on them all the same.

    Every row is checked when the rows are read, which raises `ValueError` for a bad one.

    A subclass adapts another data format. It overrides `load` (which columns must exist), and either `make_problem`
    (from a row to a problem) or just `question`, `ground_truth` and `worked_solution`.
    """

    train: str | list[str]
    test: str | list[str] = ""
    subset: str | None = None
    test_subset: str | None = None
    train_split: str = "train"
    test_split: str = "test"
    question_column: str = "question"
    answer_column: str = "answer"
    solution_column: str = ""
    cohort_column: str = ""
    test_columns: dict[COLUMNS, str] | None = None
    verifier: str | dict[str, Any] = "math"
    system: str = ""
    instruction: str = ""
    prompt: str = ""
    examples: list[dict[str, str]] | None = None
    few_shot: Annotated[int, Field(ge=0)] = 0
    held_out_rows: Annotated[int, Field(ge=0)] | None = None
    overlap: Literal["leave_out", "keep"] = "leave_out"
    seed: int = 0

    def __post_init__(self) -> None:
        defaults = {field.name: field.default for field in fields(self)}
        if self.prompt:
            find_prompt(self.prompt)
            if self.instruction != defaults["instruction"]:
                raise ValueError("prompt and instruction exclude each other: write the instruction into the prompt")
            if self.answer_column in named_in(self.prompt):
                raise ValueError(
                    f"prompt: names {self.answer_column!r}, the column of the ground truth; it would show each answer"
                )
        if self.examples and self.few_shot:
            raise ValueError("examples and few_shot exclude each other: leave one of them out")
        checked_examples(self.examples or [])
        settable = {field.name for field in fields(self) if field.init}
        for name in self.test_columns or {}:
            if f"{name}_column" not in settable:
                raise ValueError(f"test_columns: this task has no {name}_column that could be set")

    def problem(self, index: int) -> Problem:
        """The training problem at `index` (0, 1, 2, ...), never a held-out one."""
        split = self._split
        row = split.train[shuffled(index, len(split.train), self.seed)]
        return self._problem(self._train.rows[row], f"{self.train_split}-{row}", named(self.train))

    def held_out(self, count: int) -> list[Problem]:
        """The first `count` evaluation problems, or all if there are fewer."""
        if self.test:
            rows = self._test.rows
            numbers: Sequence[int] = range(len(rows))
            task, source = self._tester, named(self.test)
        else:
            rows, numbers = self._train.rows, self._split.held_out
            task, source = self, named(self.train)
        return [
            self._with_examples(task._built(rows[row], f"held_out-{number}", source))
            for number, row in enumerate(numbers[:count])
        ]

    def held_out_keys(self) -> frozenset[int]:
        """The keys of all held-out prompts, for tasks beside this one."""
        if self.test:
            return frozenset(self._test.keys)
        return frozenset(self._train.keys[row] for row in self._split.held_out)

    def sources(self) -> tuple[str, ...]:
        """The local files that the problems come from."""
        named = [(self.train, self.train_split), (self.test, self.test_split)]
        files = [str(file) for source, split in named if source for file in files_of(source, split)]
        return tuple(dict.fromkeys(files))

    def notes(self) -> tuple[str, ...]:
        """What a person should know about the rows, one sentence each: what repeats, is held out or left out."""
        split, rows, notes = self._split, len(self._train.rows), list[str]()
        if self.test and self.held_out_rows:
            notes.append(
                f"held_out_rows: {self.held_out_rows} is not used, since the held-out problems are those of the test "
                f"set {named(self.test)}; to hold out rows of train, set test to ''"
            )
        if split.different < rows:
            notes.append(
                f"{named(self.train)}: {rows} rows ask {split.different} different questions; training keeps the "
                "repeated ones"
            )
        if split.held_out:
            notes.append(
                f"{named(self.train)}: {len(split.held_out)} of {split.different} different questions are held out, "
                f"and {len(split.train)} rows are trained on"
            )
        if split.overlapping:
            what = "are trained on (overlap: keep)" if self.overlap == "keep" else "are left out of training"
            notes.append(
                f"{named(self.train)}: {split.overlapping} of {rows} rows ask a question of the test set "
                f"{named(self.test)}, and {what}"
            )
        for source, table in ((self.train, self._train), *(((self.test, self._test),) if self.test else ())):
            if self._system and table.with_system:
                notes.append(
                    f"{named(source)}: {table.with_system} of {len(table.rows)} rows have a system message of their "
                    "own and keep it; the others get that of the recipe"
                )
        return tuple(notes)

    def training_rows(self) -> int | None:
        """The number of rows to train on: problems 0 to n - 1 are each of them once. `None`: they never start over."""
        return len(self._split.train)

    @property
    def _prompt(self) -> Prompt:
        """What stands around a question."""
        if self.prompt:
            return find_prompt(self.prompt)
        return Prompt()

    @property
    def _system(self) -> str:
        return self.system or self._prompt.system

    @cached_property
    def _tester(self) -> "DatasetTask":
        """This task with the columns of the test set."""
        names = {f"{name}_column": column for name, column in (self.test_columns or {}).items()}
        subset = self.subset if self.test_subset is None else self.test_subset or None
        changes: dict[str, Any] = {"subset": subset, **names}
        return replace(self, **changes)

    @cached_property
    def _train(self) -> Table:
        if not self.train:
            raise ValueError("this task names no rows to train on; name some in task.train")
        return read(self, self.train, self.train_split, self._reading, self._system)

    @cached_property
    def _test(self) -> Table:
        tester = self._tester
        return read(tester, self.test, self.test_split, tester._reading, tester._system)

    @property
    def _reading(self) -> tuple[tuple[str, str], ...]:
        """The knobs that say how a row is read, and not which."""
        return tuple((knob.name, repr(getattr(self, knob.name))) for knob in fields(self) if knob.name not in UNREAD)

    @cached_property
    def _split(self) -> Split:
        if self.test:
            split = split_from_test(self._train.keys, frozenset(self._test.keys))
            if self.overlap == "keep":
                return replace(split, train=array("Q", range(len(self._train.keys))))
            if not split.train:
                raise ValueError(
                    f"dataset {self.train!r}: each of its questions is in the test set {self.test!r} too, so there is "
                    "none to train on. Name other rows in task.train, or set task.overlap=keep to train on them all "
                    "the same"
                )
            return split
        split = split_by_content(self._train.keys, self.held_out_rows)
        if not split.train:
            raise ValueError(
                f"dataset {self.train!r} has {len(self._train.rows)} rows with {split.different} different questions, "
                f"and {len(split.held_out)} are held out; expected some to train on. "
                "Lower task.held_out_rows (0 holds nothing out), name a task.test file, or give more rows"
            )
        return split

    def load(self, source: Source, split: str) -> Sequence[Row]:
        """The rows of a source. Raises `ValueError` if a column is missing."""
        rows = load_rows(source, split, self.subset)
        question = [] if self.prompt and "question" not in named_in(self._prompt.user) else [self.question_column]
        columns = [*question, self.answer_column, self.solution_column, self.cohort_column]
        require_columns(rows, [column for column in columns if column], source)
        return rows

    def make_problem(self, row: Row, id: str, source: str) -> Problem:
        """The problem of a row. `id` and `source` become those of the problem and appear in error messages."""
        return Problem(
            id=id,
            prompt=self.messages(row, id, source),
            answer=self._answer(row, id, source),
            verifier=self.verifier,
            source=source,
            cohort=self._cohort(row),
            solution=self.worked_solution(row),
        )

    def question(self, row: Row, id: str, source: str) -> str | Messages:
        """The question of a row: text or messages, as its column holds it. Raises `ValueError`."""
        if self.prompt and "question" not in named_in(self._prompt.user):
            return ""
        value = self._value(row, self.question_column, id, source)
        return value if isinstance(value, tuple) else str(value)

    def ground_truth(self, answer: Json, id: str, source: str) -> Json:
        """What the verifier receives, made from the answer column. Raises `ValueError`."""
        return answer

    def worked_solution(self, row: Row) -> str | None:
        solution = value_at(row, self.solution_column) if self.solution_column else None
        return None if is_empty(solution) else as_text(solution)

    def messages(self, row: Row, id: str, source: str) -> Messages:
        """The prompt of a row, without worked examples. Raises `ValueError`."""
        question = self.question(row, id, source)
        asked: Messages = ({"role": "user", "content": question},) if isinstance(question, str) else question
        if self.prompt or self.instruction:
            asked = with_question(asked, lambda text: self._asked(text, row, id, source))
        system: tuple[Message, ...] = ({"role": "system", "content": self._system},) if self._system else ()
        return asked if has_system(asked) else (*system, *asked)

    def _asked(self, question: str, row: Row, id: str, source: str) -> str:
        """The text of the user's message about a question."""
        if not self.prompt:
            return f"{question}\n{self.instruction}" if self.instruction else question
        try:
            return filled(self._prompt.user, row, question)
        except ValueError as error:
            raise ValueError(f"dataset {source!r}, row {id}: {error}") from None

    def _answer(self, row: Row, id: str, source: str) -> Json:
        return self._answer_in(row, self.answer_column, id, source) if self.answer_column else ""

    def _answer_in(self, row: Row, column: str, id: str, source: str) -> Json:
        try:
            answer = value_at(row, column)
        except KeyError:
            answer = None
        if is_empty(answer) and not isinstance(answer, list | dict):  # an empty list may be the truth
            raise self._empty(column, id, source, "the ground truth")
        return self.ground_truth(answer, id, source)

    def _cohort(self, row: Row) -> str:
        return as_text(value_at(row, self.cohort_column)) if self.cohort_column else ""

    def _value(self, row: Row, column: str, id: str, source: str) -> str | Messages:
        """A column that holds text (or a number, as text) or messages. Raises `ValueError`."""
        try:
            value = value_at(row, column)
        except KeyError:
            value = None
        if is_empty(value):
            raise self._empty(column, id, source)
        if isinstance(value, str):
            value = messages_in(value)
        if not isinstance(value, list | dict):
            return as_text(value)
        try:
            messages = text_field({column: value}, column)
            check_prompt(messages, column)
        except FieldError as error:
            raise ValueError(f"dataset {source!r}, row {id}, {error}") from None
        return messages

    def _text(self, row: Row, column: str, id: str, source: str) -> str:
        value = self._value(row, column, id, source)
        if not isinstance(value, str):
            raise ValueError(f"dataset {source!r}, row {id}: column {column!r} holds {shortened(value)}; expected text")
        return value

    def _empty(self, column: str, id: str, source: str, expected: str = "text") -> ValueError:
        return ValueError(
            f"dataset {source!r}, row {id}: column {column!r} is empty; expected {expected}. Remove or fill it"
        )

    def _built(self, row: Row, id: str, source: str) -> Problem:
        """The problem of a row with all its columns."""
        problem = self.make_problem(row, id, source)
        return problem if problem.columns else replace(problem, columns=row)

    def _problem(self, row: Row, id: str, source: str) -> Problem:
        return self._with_examples(self._built(row, id, source))

    def _with_examples(self, problem: Problem) -> Problem:
        """The problem with worked examples in front, never with its own question among them."""
        if self.examples:
            pairs = [(example["question"], example["answer"]) for example in self.examples]
            turns = [turn for question, answer in pairs for turn in self._example(question, answer)]
            return replace(problem, prompt=with_turns(problem.prompt, turns))
        if not self.few_shot:
            return problem
        key = content_key(problem.prompt)
        others = islice((turns for other, turns in self._shots if other != key), self.few_shot)
        return replace(problem, prompt=with_turns(problem.prompt, [turn for turns in others for turn in turns]))

    def _example(self, question: str, answer: str) -> tuple[Message, Message]:
        fields = {"question": question}
        return example_turns(self._asked(question, fields, "of the examples", named(self.train)), answer)

    @cached_property
    def _shots(self) -> list[tuple[int, tuple[Message, ...]]]:
        """The first training questions, one more than are shown, each with its key and its turns."""
        shots: dict[int, tuple[Message, ...]] = {}
        for row in self._split.train:
            problem = self._built(self._train.rows[row], f"{self.train_split}-{row}", named(self.train))
            answer = problem.solution or as_text(problem.answer)
            turns = problem.prompt[1:] if has_system(problem.prompt) else problem.prompt
            shots.setdefault(self._train.keys[row], (*turns, {"role": "assistant", "content": answer}))
            if len(shots) > self.few_shot:
                return list(shots.items())
        raise ValueError(
            f"dataset {self.train!r} has {len(shots)} different questions to train on; expected more than "
            f"task.few_shot={self.few_shot}"
        )
