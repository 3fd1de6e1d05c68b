"""From the name of a choice to its function."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rlvr.algorithms.choices import check_signature, load_function, nearest, pick, pick_name


def clip(tokens: int, objective: int) -> int:
    return tokens + objective


def band(tokens: int, objective: int) -> int:
    return tokens - objective


TABLE: dict[str, Callable[[int, int], int]] = {"clip": clip, "band": band}


def test_a_known_name_is_the_function_beside_it() -> None:
    assert pick(TABLE, "band", "objective.surrogate") is band


def test_a_function_of_ones_own_is_found_by_its_module() -> None:
    assert pick(TABLE, "operator:mul", "objective.surrogate")(3, 4) == 12


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("clipp", "surrogate: got 'clipp', expected one of clip, band or module:function; did you mean 'clip'"),
        ("xyz", "surrogate: got 'xyz', expected one of clip, band or module:function$"),
        (
            "operator:no_such",
            r"surrogate: cannot load 'operator:no_such' \(AttributeError: .*; expected module:function",
        ),
        ("no_such_module:f", r"surrogate: cannot load 'no_such_module:f' \(ModuleNotFoundError: "),
    ],
)
def test_a_name_of_nothing_is_refused_with_what_is_known(name: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        pick(TABLE, name, "surrogate")


def test_a_module_that_does_whatever_it_likes_when_imported_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "leaves_at_once.py").write_text("import sys\nsys.exit(3)\n")
    (tmp_path / "breaks_at_once.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match=r"cannot load 'leaves_at_once:f' \(SystemExit: 3\)"):
        load_function("leaves_at_once:f")
    with pytest.raises(ValueError, match=r"cannot load 'breaks_at_once:f' \(ZeroDivisionError: division by zero\)"):
        load_function("breaks_at_once:f")


@pytest.mark.parametrize("fits", [lambda a, b: 0, lambda a, b, c=1: 0, lambda *all_of_them: 0, max])
def test_what_can_be_called_like_the_known_functions_is_taken(fits: Callable[..., object]) -> None:
    check_signature(TABLE, "mine:f", fits, "surrogate")


@pytest.mark.parametrize(
    ("misfit", "expected"),
    [
        (
            lambda a: 0,
            r"surrogate: 'mine:f' takes \(a\), expected a function of \(tokens, objective\), like 'clip'",
        ),
        (lambda a, b, c: 0, r"takes \(a, b, c\), expected a function of \(tokens, objective\)"),
        (3, r"surrogate: 'mine:f' is of type int, expected a function of \(tokens, objective\), like 'clip'"),
    ],
)
def test_what_cannot_is_refused_with_what_it_should_take(misfit: Callable[..., object], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        check_signature(TABLE, "mine:f", misfit, "surrogate")


def test_a_name_that_no_function_can_join_is_one_of_those_that_are_known() -> None:
    pick_name(("keep", "mask"), "mask", "overlong")
    with pytest.raises(ValueError, match="overlong: got 'maks', expected one of keep, mask; did you mean 'mask'"):
        pick_name(("keep", "mask"), "maks", "overlong")


def test_only_a_name_that_is_like_it_is_proposed() -> None:
    assert nearest("clip_lo", ["clip_low", "kl_coef"]) == "; did you mean 'clip_low'?"
    assert nearest("temperature", ["clip_low", "kl_coef"]) == ""
