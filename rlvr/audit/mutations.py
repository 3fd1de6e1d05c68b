"""Equivalent forms of answers, and near misses, to audit a verifier with.

Equivalent forms are equal by construction, and near misses differ by construction (plus one, another sign, another
bracket, an item less), so arithmetic judges a verifier and not another verifier. Answers without a certain change are
left as they are.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from verifiers.math import Node, decimal_places, is_nonzero, number, number_of, rebuild, render, tree_of, undress, walk

ONE = number(1)
CONTAINERS = ("seq", "set", "group")
OTHER_BRACKET = {"(": "[", "[": "(", ")": "]", "]": ")"}
EXPRESSIONS = ("add", "mul", "neg", "div", "pow", "root", "fn", "sym", "num")


class Mutation(NamedTuple):
    """The kind of the change in words, and the changed answer."""

    kind: str
    text: str


def equivalent_forms(answer: str) -> list[Mutation]:
    """Other ways to write an answer."""
    return _distinct(answer, _equivalent(undress(answer)))


def near_misses(answer: str) -> list[Mutation]:
    """Wrong answers that look like the right one."""
    return _distinct(answer, _near(undress(answer)))


def hedges(answer: str) -> list[Mutation]:
    """Completions that give the right answer among others, or break off; none may be rewarded."""
    other = "1234321"
    return [
        Mutation("two boxes", rf"\boxed{{{answer}}} or \boxed{{{other}}}"),
        Mutation("two boxes, the right one last", rf"\boxed{{{other}}} or \boxed{{{answer}}}"),
        Mutation("a list of candidates", rf"\boxed{{{other}, 7654567, {answer}}}"),
        Mutation("candidates in words", rf"\boxed{{{answer} \text{{ or }} {other}}}"),
        Mutation("a last box that is never closed", rf"\boxed{{{answer}}} wait, it is \boxed{{"),
        Mutation("taken back", rf"\boxed{{{answer}}}. No, that is wrong: \boxed{{{other}}}"),
        Mutation("only thought, not said", rf"<think>\boxed{{{answer}}}</think> I am not sure."),
        Mutation("many boxes", " ".join(rf"\boxed{{{guess}}}" for guess in (other, "0", "1", answer, "2"))),
    ]


def _distinct(answer: str, mutations: Iterator[Mutation]) -> list[Mutation]:
    seen = {answer.strip()}
    kept = []
    for mutation in mutations:
        if mutation.text not in seen:
            seen.add(mutation.text)
            kept.append(mutation)
    return kept


def _equivalent(answer: str) -> Iterator[Mutation]:
    yield Mutation("spaces around it", f"  {answer} ")
    yield Mutation("a full stop", f"{answer}.")
    yield Mutation("dollar signs", f"${answer}$")
    parsed = number_of(answer)
    if parsed is not None and not parsed.percent:
        yield from _equal_numbers(parsed.value)
        return
    node = tree_of(answer)
    if isinstance(node, str) or node.head == "text":
        return
    yield Mutation("other LaTeX", render(node))
    if r"\frac" in answer:
        yield Mutation(r"\dfrac", answer.replace(r"\frac", r"\dfrac"))
    yield Mutation("sums the other way round", render(_swapped(node, "add")))
    yield Mutation("products the other way round", render(_swapped(node, "mul")))
    if node.head in ("seq", "set"):
        yield Mutation("items in another order", render(Node(node.head, node.args[::-1])))
    if node.head in EXPRESSIONS and "..." not in answer:
        yield Mutation("twice the half", render(Node("div", (Node("mul", (number(2), node)), number(2)))))
        yield Mutation("one more, one less", render(Node("add", (node, ONE, Node("neg", (ONE,))))))


def _equal_numbers(value: Fraction) -> Iterator[Mutation]:
    top, bottom = value.numerator, value.denominator
    sign = "-" if value < 0 else ""
    yield Mutation("a fraction not in lowest terms", rf"{sign}\frac{{{2 * abs(top)}}}{{{2 * bottom}}}")
    yield Mutation("a product", rf"{top}/{bottom}" if bottom != 1 else f"{top} \\cdot 1")
    places = decimal_places(value)
    if places is not None and places <= 12:
        yield Mutation("a decimal", f"{sign}{_decimal(abs(value), max(1, places))}")
    if bottom == 1 and abs(top) >= 1_000:
        yield Mutation("thousands separators", f"{top:,}")
        yield Mutation("LaTeX separators", f"{top:,}".replace(",", "{,}"))
    if bottom != 1 and abs(top) > bottom:
        whole, rest = divmod(abs(top), bottom)
        yield Mutation("a mixed number", rf"{sign}{whole}\frac{{{rest}}}{{{bottom}}}")


def _decimal(value: Fraction, places: int) -> str:
    digits = str(value * 10**places).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}"


def _swapped(node: Node, head: str) -> Node:
    changed = rebuild(node, lambda child: _swapped(child, head))
    if changed.head == head and not any(one.head == "matrix" for one in walk(changed)):
        return Node(head, changed.args[::-1])
    return changed


def _near(answer: str) -> Iterator[Mutation]:
    parsed = number_of(answer)
    if parsed is not None and not parsed.percent:
        yield from _wrong_numbers(parsed.value)
        return
    node = tree_of(answer)
    if isinstance(node, str):
        return
    if node.head in EXPRESSIONS:
        yield Mutation("one more", render(Node("add", (node, ONE))))
        if is_nonzero(node):
            yield Mutation("the other sign", render(Node("neg", (node,))))
            yield Mutation("twice as much", render(Node("mul", (number(2), node))))
            yield Mutation("slightly more", render(Node("mul", (number(Fraction(1001, 1000)), node))))
    elif node.head in CONTAINERS:
        items = node.args[2:] if node.head == "group" else node.args
        ends = node.args[:2] if node.head == "group" else ()
        if len(items) > 1:
            yield Mutation("an item less", render(Node(node.head, (*ends, *items[:-1]))))
        if items and items[-1].head in EXPRESSIONS and not _infinite(items[-1]):
            changed = Node("add", (items[-1], number(1000)))
            yield Mutation("one item wrong", render(Node(node.head, (*ends, *items[:-1], changed))))
        if node.head == "group" and set(ends) <= set(OTHER_BRACKET) and len(items) == 2:
            yield Mutation("another bracket", render(Node("group", (OTHER_BRACKET[ends[0]], ends[1], *items))))
        values = [number_of(render(item)) for item in items]
        if node.head == "group" and None not in values and len(set(values)) == len(values):
            yield Mutation("items in another order", render(Node("group", (*ends, *items[::-1]))))
    elif node.head == "based":
        yield Mutation("another base", f"{node.args[0]}_{{{int(node.args[1]) + 1}}}")
    elif node.head == "text":
        yield Mutation("another word", rf"\text{{not {node.args[0]}}}")


def _wrong_numbers(value: Fraction) -> Iterator[Mutation]:
    node = number(value)
    yield Mutation("one more", render(number(value + 1)))
    yield Mutation("one less", render(number(value - 1)))
    yield Mutation("slightly more", render(number(value + Fraction(1, 1000))))
    yield Mutation(
        "squared" if value not in (0, 1) else "two more", rf"({render(node)})^2" if value not in (0, 1) else "3"
    )
    if value:
        yield Mutation("the other sign", render(number(-value)))
        yield Mutation("ten times as much", render(number(value * 10)))
        yield Mutation("a hundredth", render(number(value / 100)))
        if abs(value) != 1:
            yield Mutation("upside down", render(number(1 / value)))
        yield Mutation("with a root", rf"{render(node)}\sqrt{{2}}")
        yield Mutation("with a variable", f"{render(node)}x")


def _infinite(node: Node) -> bool:
    return any(one == Node("sym", (r"\infty",)) for one in walk(node))
