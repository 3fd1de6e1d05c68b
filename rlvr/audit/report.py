"""An audit as text for the terminal, and as one self-contained page."""

from collections.abc import Sequence
from html import escape

from rlvr.audit.audit import SHOWN_ROWS, Audit, Item, Section, Trial

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1c2430; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #d5dbe3; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; padding: .3rem .6rem; vertical-align: top; }
tr:nth-child(even) { background: #f5f7fa; } code { white-space: pre-wrap; word-break: break-word; font-size: .85rem; }
.good { color: #14713d; } .bad { color: #b3261e; } .bar { background: #e6eaf0; height: .6rem; position: relative; }
.bar i { background: #b3261e; position: absolute; top: 0; bottom: 0; } .note { color: #5a6675; }
"""


def as_text(audit: Audit) -> str:
    """The findings, the rates with their intervals, and the worst rows."""
    lines = [
        f"{audit.source or 'dataset'}: {audit.items} rows, verifier {audit.verifier!r}, "
        f"{audit.checks} checks in {audit.seconds:.1f} s",
        "",
        f"ground truths that can only be matched as text: {len(audit.unreadable)}",
    ]
    lines += [f"    row {item.row}: {item.answer!r}: {reason}" for item, reason in audit.unreadable[:SHOWN_ROWS]]
    lines.append(f"questions with answers that contradict each other: {len(audit.contradictions)}")
    lines += [f"    {contradiction(*pair)}" for pair in audit.contradictions[:SHOWN_ROWS]]
    for section in audit.sections:
        lines.append(f"{section.title}: {section.mistake}s {section.rate}")
        if section.failures:
            lines.append(f"    the verifier failed on {section.failures}; first: {first_failure(section)}")
        lines += [f"    {kind}: {rate}" for kind, rate in section.by_kind()[:8]]
        lines += [f"    {in_words(trial)}" for trial in section.mistakes[:5]]
    if audit.against:
        lines += ["", f"{audit.verifier!r} and {audit.against!r} disagree on {len(audit.disagreements)} checks"]
        for one in audit.disagreements[:SHOWN_ROWS]:
            lines.append(f"    {in_words(one.trial)}; {audit.against}: {one.other.score} ({one.other.detail})")
    lines += ["", audit.conclusion]
    return "\n".join(lines)


def in_words(trial: Trial) -> str:
    verdict = trial.verdict
    return (
        f"row {trial.item.row}, {trial.kind}: {shortened(trial.completion)!r} against {trial.item.answer!r} "
        f"scored {verdict.score} ({verdict.detail})"
    )


def contradiction(earlier: Item, item: Item) -> str:
    return f"rows {earlier.row} and {item.row}: {earlier.answer!r} and {item.answer!r} for {shortened(item.question)!r}"


def first_failure(section: Section) -> str:
    return next(trial.why_failed for trial in section.trials if trial.failed)


def shortened(text: str, limit: int = 120) -> str:
    return text if len(text) <= limit else f"... {text[-limit:]}"


def as_html(audit: Audit) -> str:
    """The same as one page without external resources."""
    verdict = f"<span class={'good' if audit.passed else 'bad'}>{escape(audit.conclusion)}</span>"
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>Reward audit: {escape(audit.source)}</title><style>{STYLE}</style>",
        f"<h1>Reward audit: {verdict}</h1><p>{escape(audit.source)}, {audit.items} rows; verifier "
        f"<code>{escape(audit.verifier)}</code>; {audit.checks_per_second:,.0f} checks per second, "
        f"{audit.seconds:.1f} s.</p>",
        "<h2>Rates</h2><table><tr><th>question<th>a mistake is a<th>mistakes<th>95 % interval<th>",
    ]
    for section in audit.sections:
        low, high = section.rate.interval
        colour = "bad" if section.mistakes else "good"
        parts.append(
            f"<tr><td>{escape(section.title)}<td>{section.mistake}<td class={colour}>{section.rate.count} of "
            f"{section.rate.total}<td>{low:.3%} to {high:.3%}<td style='width:10rem'><div class=bar>"
            f"<i style='left:{100 * low:.2f}%;width:{max(0.5, 100 * (high - low)):.2f}%'></i></div>"
        )
        if section.failures:
            parts.append(
                f"<tr><td><td colspan=4 class=bad>the verifier failed on {section.failures}: "
                f"{escape(first_failure(section))}"
            )
    parts.append("</table>")
    parts.append(f"<h2>Ground truths that can only be matched as text: {len(audit.unreadable)}</h2>")
    rows = [(f"row {item.row}", item.answer, reason) for item, reason in audit.unreadable[:200]]
    parts.append(table(("", "ground truth", "why"), rows))
    if audit.contradictions:
        parts.append(f"<h2>Questions with answers that contradict each other: {len(audit.contradictions)}</h2>")
        parts.append(table(("",), [(contradiction(*pair),) for pair in audit.contradictions[:200]]))
    for section in audit.sections:
        if not section.mistakes:
            continue
        parts.append(f"<h2>{escape(section.title)}: {section.mistake}s</h2>")
        parts.append(table(("kind", "mistakes"), [(kind, str(rate)) for kind, rate in section.by_kind()]))
        parts.append(trial_table(section.mistakes[:100]))
    if audit.against:
        parts.append(f"<h2>Disagreements with <code>{escape(audit.against)}</code>: {len(audit.disagreements)}</h2>")
        rows3 = [
            (one.trial.kind, shortened(one.trial.completion), one.trial.item.answer,
             f"{one.trial.verdict.score} {one.trial.verdict.detail}", f"{one.other.score} {one.other.detail}")
            for one in audit.disagreements[:200]
        ]  # fmt: skip
        parts.append(table(("kind", "completion", "ground truth", audit.verifier, audit.against), rows3))
    return "\n".join(parts) + "\n"


def trial_table(trials: list[Trial]) -> str:
    rows = [
        (f"row {trial.item.row}", trial.kind, shortened(trial.completion), trial.item.answer,
         f"{trial.verdict.score}: {trial.verdict.detail}")
        for trial in trials
    ]  # fmt: skip
    return table(("", "kind", "completion", "ground truth", "verdict"), rows)


def table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    if not rows:
        return "<p class=note>none</p>"
    head = "".join(f"<th>{escape(title)}" for title in titles)
    body = "".join("<tr>" + "".join(f"<td><code>{escape(cell)}</code>" for cell in row) for row in rows)
    return f"<table><tr>{head}{body}</table>"
