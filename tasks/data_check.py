"""Checks a file before a model is trained on it: `rlvr data check FILE`.

It may hold conversations, preferences, or problems with their ground truths, the rows of a task.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

from tasks.columns import plain
from tasks.conversations import Conversation, parse_conversation
from tasks.layouts import ANSWERS, AS_RECOGNIZED, CONVERSATIONS, Reading, renamed, settled
from tasks.messages import text_field
from tasks.preferences import Preference, UnpairedPreference, parse_preference, parse_unpaired
from tasks.table import FieldError, Row, Text, characters, open_rows

# The columns of problems: what asks, and the ground truth.
QUESTIONS = ("question", "problem", "prompt")
TRUTHS = ("answer", "ground_truth", "target", "final_answer", "solution")
# Those that are read as demonstrations too.
AS_TALK = (("question", "answer"), ("prompt", "answer"))


@dataclass(frozen=True)
class QuestionAndTruth:
    """A row of a task: a prompt, and the ground truth for its verifier, of any type."""

    prompt: Text
    truth: Any
    columns: tuple[str, str]
    layout: str = field(default="", compare=False, repr=False)
    unread: tuple[str, ...] = ()


def parse_problem(row: Row, reading: Reading = AS_RECOGNIZED) -> QuestionAndTruth:
    """A question and its ground truth. Raises `FieldError`."""
    columns = columns_of_problem(row)
    if columns is None:
        raise FieldError("question", f"is missing; expected a question and its answer; the row has: {', '.join(row)}")
    question, truth = columns
    value = plain(row[truth])
    if isinstance(value, str) and not value.strip():
        raise FieldError(truth, "is empty; expected the ground truth")
    return QuestionAndTruth(text_field(row, question), value, columns, f"{question} and {truth}")


def columns_of_problem(row: Row) -> tuple[str, str] | None:
    """The columns of the question and of its ground truth, if the row is a problem of a task and nothing else."""
    others = (*CONVERSATIONS, *(name for name in ANSWERS if name not in TRUTHS), "chosen", "completions", "label")
    question = next((name for name in QUESTIONS if row.get(name) is not None), None)
    truth = next((name for name in TRUTHS if row.get(name) is not None), None)
    if question is None or truth is None or any(row.get(name) is not None for name in others):
        return None
    return question, truth


PARSERS: dict[str, Callable[..., Any]] = {
    "conversations": parse_conversation,
    "preferences": parse_preference,
    "unpaired preferences": parse_unpaired,
    "problems": parse_problem,
}


@dataclass
class DataReport:
    """The result of a check. `broken` rows cannot be read; `doubtful` rows can, but a person should look at them."""

    source: str
    kind: str
    rows: int
    broken: list[tuple[int, str]] = field(default_factory=list)
    doubtful: dict[str, list[int]] = field(default_factory=dict)
    figures: dict[str, str] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return not self.broken

    def lines(self, shown: int = 10) -> list[str]:
        """The report as text, with the first `shown` rows of each kind."""
        lines = [f"{self.source}: {self.rows} rows of {self.kind}"]
        lines += [f"  {name}: {value}" for name, value in self.figures.items()]
        for why, rows in self.doubtful.items():
            lines.append(f"  look at: {why}: {len(rows)} ({_rows(rows, shown)})")
        if self.broken:
            lines.append(f"  broken: {len(self.broken)}")
            lines += [f"    row {row}: {why}" for row, why in self.broken[:shown]]
            lines += ["    ..."] if len(self.broken) > shown else []
        else:
            lines.append("  broken: none")
        return lines


def check_data(
    source: str, split: str = "train", subset: str | None = None, reading: Reading = AS_RECOGNIZED
) -> DataReport:
    """Check every row of a hub dataset or a local file. Raises `ValueError` if there is nothing to read."""
    rows = open_rows(source, split, subset)
    reading = settled(rows, reading)
    kind = _kind(rows, reading)
    report = DataReport(source, kind, len(rows))
    parsed: list[tuple[int, Any]] = []
    fields: Counter[str] = Counter()
    layouts: Counter[str] = Counter()
    unread: dict[str, None] = {}
    for number in range(1, len(rows) + 1):
        try:
            row = rows[number - 1]
            item = PARSERS[kind](row, reading)
            parsed.append((number, item))
            fields.update(name for name, value in row.items() if value is not None)
            layouts[item.layout] += 1
            unread |= dict.fromkeys(item.unread)
        except FieldError as error:
            report.broken.append((number, str(error)))
    if parsed:
        report.figures["fields"] = ", ".join(f"{name} ({count})" for name, count in sorted(fields.items()))
        several = [f"{layout} ({count})" for layout, count in layouts.most_common()]
        report.figures["read as"] = " | ".join(several) if len(several) > 1 else next(iter(layouts))
        if unread:
            report.figures["not read"] = ", ".join(unread)
        DESCRIBE[kind](parsed, report)
    return report


def _kind(rows: Sequence[Row], reading: Reading) -> str:
    """The kind of data, judging by the first row that has the columns of one; parts of such a row may be empty."""
    for index in range(len(rows)):
        try:
            row = renamed(rows[index], reading.columns)
        except FieldError:
            continue
        if row.get("completions") is not None or any(row.get(name) is not None for name in ("chosen", "rejected")):
            return "preferences"
        if row.get("label") is not None:
            return "unpaired preferences"
        if columns_of_problem(row) is not None:
            return "problems"
        if any(row.get(name) is not None for name in (*CONVERSATIONS, *ANSWERS, "text")):
            return "conversations"
    return "conversations"


def _problems(parsed: list[tuple[int, QuestionAndTruth]], report: DataReport) -> None:
    kinds = Counter(type(row.truth).__name__ for _, row in parsed)
    report.figures["ground truths"] = ", ".join(f"{name} ({count})" for name, count in kinds.most_common())
    report.figures["characters of the question"] = _spread([characters(row.prompt) for _, row in parsed])
    report.figures["characters of the ground truth"] = _spread([len(str(row.truth)) for _, row in parsed])
    asked: dict[Hashable, set[Hashable]] = {}
    for _, row in parsed:
        asked.setdefault(_key(row.prompt), set()).add(_key(row.truth))
    report.figures["different questions"] = str(len(asked))
    _doubt(report, "the same question again", _repeated([(number, row.prompt) for number, row in parsed]))
    two_truths = [number for number, row in parsed if len(asked[_key(row.prompt)]) > 1]
    _doubt(report, "the same question has different answers", two_truths)
    report.figures["use it as a task"] = _usage(report.source, parsed)
    if all(row.columns in AS_TALK and isinstance(row.truth, str) for _, row in parsed):
        report.figures["or as demonstrations"] = f"trainer: sft with data: {{train: {report.source}}}"


def _usage(source: str, parsed: list[tuple[int, QuestionAndTruth]]) -> str:
    """The section `task` of a recipe that trains on these rows."""
    question, truth = parsed[0][1].columns
    marked = sum("####" in str(row.truth) for _, row in parsed)
    if (question, truth) == ("question", "answer") and marked == len(parsed):
        return f"task: {{name: gsm8k, train: {source}}} (the ground truth is the number after ####)"
    columns = {"question_column": question, "answer_column": truth}
    named = "".join(f", {key}: {name}" for key, name in columns.items() if name != key.partition("_")[0])
    return f"task: {{name: dataset, train: {source}{named}}}"


def _conversations(parsed: list[tuple[int, Conversation]], report: DataReport) -> None:
    _form(report, [row.prompt for _, row in parsed])
    turns = [1 if isinstance(row.completion, str) else _answers(row.completion) for _, row in parsed]
    report.figures["answers per row"] = _spread(turns)
    report.figures["characters of the prompt"] = _spread([characters(row.prompt) for _, row in parsed])
    report.figures["characters of the completion"] = _spread([characters(row.completion) for _, row in parsed])
    _doubt(report, "the same row again", _repeated([(number, row) for number, row in parsed]))
    _doubt(report, "two turns of one role in a row", [number for number, row in parsed if _stutters(row)])


def _preferences(parsed: list[tuple[int, Preference]], report: DataReport) -> None:
    _form(report, [row.prompt for _, row in parsed])
    report.figures["answers per row"] = _spread([len(row.answers) for _, row in parsed])
    report.figures["rows with ratings or margins"] = str(sum(row.ratings is not None for _, row in parsed))
    report.figures["characters of the prompt"] = _spread([characters(row.prompt) for _, row in parsed])
    report.figures["characters of the best answer"] = _spread([characters(row.answers[0]) for _, row in parsed])
    report.figures["characters of the worst answer"] = _spread([characters(row.answers[-1]) for _, row in parsed])
    longer = [characters(row.answers[0]) > characters(row.answers[-1]) for _, row in parsed]
    report.figures["rows whose best answer is the longer one"] = f"{sum(longer) / len(longer):.1%}"
    _doubt(report, "the same row again", _repeated([(number, (row.prompt, row.answers)) for number, row in parsed]))
    _doubt(report, "best and worst answer are equal", [n for n, row in parsed if row.answers[0] == row.answers[-1]])
    _doubt(report, "the ratings do not put the best answer first", [n for n, row in parsed if _contradicts(row)])
    _doubt(report, "another row prefers the opposite", _opposites(parsed))


def _unpaired(parsed: list[tuple[int, UnpairedPreference]], report: DataReport) -> None:
    _form(report, [row.prompt for _, row in parsed])
    report.figures["wanted"] = f"{sum(row.wanted for _, row in parsed)} of {len(parsed)}"
    report.figures["characters of the prompt"] = _spread([characters(row.prompt) for _, row in parsed])
    for wanted, name in ((True, "wanted"), (False, "unwanted")):
        lengths = [characters(row.answer) for _, row in parsed if row.wanted is wanted]
        report.figures[f"characters of {name} answers"] = _spread(lengths) if lengths else "none"
    _doubt(report, "the same row again", _repeated([(number, row) for number, row in parsed]))
    both = Counter(key for key in {(_key((row.prompt, row.answer)), row.wanted) for _, row in parsed})
    sides = Counter(key for key, _ in both)
    twofold = [number for number, row in parsed if sides[_key((row.prompt, row.answer))] == 2]
    _doubt(report, "the same answer is wanted in one row and unwanted in another", twofold)


def _form(report: DataReport, prompts: Sequence[Text]) -> None:
    plain = sum(isinstance(prompt, str) for prompt in prompts)
    report.figures["form"] = "plain text" if plain == len(prompts) else "chats" if not plain else (
        f"{plain} plain, {len(prompts) - plain} chats"
    )  # fmt: skip


def _doubt(report: DataReport, why: str, rows: list[int]) -> None:
    if rows:
        report.doubtful[why] = rows


def _repeated(items: Sequence[tuple[int, object]]) -> list[int]:
    """The rows that repeat an earlier row."""
    seen: set[Hashable] = set()
    repeats = []
    for number, item in items:
        key = _key(item)
        if key in seen:
            repeats.append(number)
        seen.add(key)
    return repeats


def _opposites(parsed: list[tuple[int, Preference]]) -> list[int]:
    pairs = {(_key(row.prompt), _key(row.answers[0]), _key(row.answers[-1])) for _, row in parsed}
    return [
        number
        for number, row in parsed
        if row.answers[0] != row.answers[-1]
        and (_key(row.prompt), _key(row.answers[-1]), _key(row.answers[0])) in pairs
    ]


def _contradicts(row: Preference) -> bool:
    return row.ratings is not None and row.ratings[0] <= row.ratings[-1]


def _answers(completion: Text) -> int:
    return sum(not isinstance(message, str) and message["role"] == "assistant" for message in completion)


def _stutters(row: Conversation) -> bool:
    if isinstance(row.prompt, str) or isinstance(row.completion, str):
        return False
    roles = [message["role"] for message in (*row.prompt, *row.completion)]
    return any(a == b != "tool" for a, b in pairwise(roles))


def _key(item: object) -> int:
    return hash(repr(item))


def _spread(numbers: Sequence[int]) -> str:
    ordered = sorted(numbers)
    high = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    return f"median {median(ordered):g}, 95 % at most {high}, longest {ordered[-1]}"


def _rows(rows: Sequence[int], shown: int) -> str:
    listed = ", ".join(str(row) for row in rows[:shown])
    return f"rows {listed}{', ...' if len(rows) > shown else ''}"


DESCRIBE: dict[str, Callable[[list[tuple[int, Any]], DataReport], None]] = {
    "conversations": _conversations,
    "preferences": _preferences,
    "unpaired preferences": _unpaired,
    "problems": _problems,
}
