"""Values survive the journey as what they are, and nothing that is forged becomes one."""

import math
from collections import Counter, namedtuple
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.compare import same_value
from sandbox.inside.frames import BadFrame, FrameBuffer, FrameTooLarge, pack, unpack
from sandbox.inside.values import MAX_DEPTH, BadValue, NotPlain, PlainArray, decode, encode

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.complex_numbers()
KEYS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
HASHABLE = st.recursive(KEYS, lambda inner: st.tuples(inner, inner) | st.frozensets(inner, max_size=3), max_leaves=5)
VALUES = st.recursive(
    SCALARS | st.sets(HASHABLE, max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner) | st.dictionaries(HASHABLE, inner, max_size=3),
    max_leaves=12,
)


@given(VALUES)
def test_plain_values_come_back_as_they_were(value: Any) -> None:
    again = decode(unpack(pack(encode(value))[4:]))
    assert type(again) is type(value)
    assert same_value(value, again)


def test_a_subclass_is_written_as_what_its_base_class_stores() -> None:
    class Liar(int):
        def __eq__(self, other: object) -> bool:
            return True

        def __index__(self) -> int:
            return 7

        __int__ = __index__
        __hash__ = int.__hash__

    assert type(decode(encode(Liar(3)))) is int
    assert decode(encode(Liar(3))) == 3
    assert decode(encode(Counter("aab"))) == {"a": 2, "b": 1}
    assert decode(encode(namedtuple("P", "x y")(1, 2))) == (1, 2)
    assert decode(encode(IntEnum("E", "A B").B)) == 2  # type: ignore[attr-defined]


def test_exact_numbers_come_back() -> None:
    assert decode(encode([Decimal("1.50"), Fraction(-1, 3)])) == [Decimal("1.50"), Fraction(-1, 3)]
    assert decode(encode(-(7**5000))) == -(7**5000)
    assert math.isnan(decode(encode(float("nan"))))


def test_an_object_is_not_plain() -> None:
    for value in (object(), [object()], {1: print}, (x for x in ()), range(3), Exception()):
        with pytest.raises(NotPlain):
            encode(value)


def test_a_value_that_contains_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(NotPlain, match=str(MAX_DEPTH)):
        encode(endless)


@pytest.mark.parametrize(
    "message",
    [
        [],
        ["list"],
        ["list", 3],
        ["nonsense", 1],
        [1, 2],
        {"a": 1},
        1.5,
        ["int", "zz"],
        ["float", 1],
        ["float", "x"],
        ["set", [["list", []]]],
        ["dict", [[1]]],
        ["array", "<i8", [2], [1]],
        ["array", "<i8", [-1], []],
        ["type", "eval"],
        ["Fraction", "1e99"],
        ["Decimal", "9" * 5000],
        ["complex", "1"],
    ],
)
def test_a_forged_message_is_no_value(message: Any) -> None:
    with pytest.raises(BadValue):
        decode(message)


def test_arrays_arrive_as_descriptions() -> None:
    numpy = pytest.importorskip("numpy")
    array = decode(encode(numpy.array([[1, 2], [3, 4]], dtype="int32")))
    assert isinstance(array, PlainArray)
    assert (array.dtype, array.shape, array.items) == ("<i4", (2, 2), (1, 2, 3, 4))
    assert decode(encode(numpy.float64(0.5))) == 0.5


def test_frames_are_cut_out_of_any_pieces() -> None:
    data = pack(["a"]) + pack({"b": 1})
    for size in (1, 3, 7, 100):
        buffer = FrameBuffer(1000)
        frames = [frame for start in range(0, len(data), size) for frame in buffer.feed(data[start : start + size])]
        assert frames == [["a"], {"b": 1}]
        assert not buffer.pending


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"NaN", b"[1] 2", b"[" * 100_000])
def test_what_is_not_json_is_a_bad_frame(body: bytes) -> None:
    with pytest.raises(BadFrame):
        unpack(body)


def test_a_frame_of_too_many_items_or_bytes_is_too_much() -> None:
    with pytest.raises(FrameTooLarge):
        unpack(b"[" + b"0," * 5_000_000 + b"0]")
    with pytest.raises(FrameTooLarge):
        list(FrameBuffer(10).feed(b"x" * 11))
