from collections.abc import Sequence

import pytest
from transformers import PreTrainedTokenizerFast

from rlvr.engines.stop_strings import KEPT_TOKENS, WINDOW_TOKENS, StopStrings, decoder_of
from rlvr.models.chat import Chat


def end_of(
    chat: Chat, ids: Sequence[int], stop: Sequence[str], min_tokens: int = 0, prompt: Sequence[int] = (5, 6)
) -> int | None:
    """The number of tokens after which a completion of `ids` ends, or `None`."""
    watch = StopStrings(decoder_of(chat.tokenizer), prompt, stop, min_tokens)
    return next((place for place, token in enumerate(ids, start=1) if watch.completed_by(token)), None)


@pytest.fixture(scope="module")
def characters(chat: Chat) -> PreTrainedTokenizerFast:
    return chat.tokenizer


def bytes_of(chat: Chat, text: str) -> list[int]:
    """One token for each byte, as no merge would have it."""
    return [token for byte in text.encode() for token in [chat.tokenizer.convert_tokens_to_ids(BYTE_NAMES[byte])]]


def _byte_names() -> dict[int, str]:
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + place) for place, byte in enumerate(others)}


BYTE_NAMES = _byte_names()


def test_a_stop_string_may_straddle_tokens(chat: Chat) -> None:
    ids = bytes_of(chat, "so </answer> then")
    assert end_of(chat, ids, ["</answer>"]) == len("so </answer>")
    assert end_of(chat, ids, ["then", "</a"]) == len("so </a")
    assert end_of(chat, ids, ["<answer>"]) is None


def test_the_end_of_a_long_completion_is_found_too(chat: Chat) -> None:
    text = "na " * 3 * (KEPT_TOKENS + WINDOW_TOKENS) + "</answer>"
    assert end_of(chat, bytes_of(chat, text + "!"), ["</answer>"]) == len(text)


def test_a_character_of_several_bytes_counts_when_it_is_complete(chat: Chat) -> None:
    assert end_of(chat, bytes_of(chat, "a→b"), ["→"]) == 4
    assert end_of(chat, bytes_of(chat, "日本語。x"), ["語。"]) == 12
    assert end_of(chat, bytes_of(chat, "日本語。x" * 20), ["x日本語。x日"]) == 13 * 2 + 3


def test_special_tokens_are_spelled_out(chat: Chat) -> None:
    user = chat.tokenizer.convert_tokens_to_ids("<|user|>")
    assert end_of(chat, [*bytes_of(chat, "ab"), user], ["<|user|>"]) == 3
    assert end_of(chat, [*bytes_of(chat, "ab"), user], ["b<|us"]) == 3


def test_the_prompt_is_not_searched(chat: Chat) -> None:
    prompt = bytes_of(chat, "Q: 1\nQ")
    assert end_of(chat, bytes_of(chat, ": 2\nQ:"), ["Q:"], prompt=prompt) == len(": 2\nQ:")


def test_what_is_complete_within_min_tokens_is_passed_over(chat: Chat) -> None:
    ids = bytes_of(chat, "ab.cd.ef")
    assert end_of(chat, ids, ["."]) == 3
    assert end_of(chat, ids, ["."], min_tokens=2) == 3
    assert end_of(chat, ids, ["."], min_tokens=3) == 6
    assert end_of(chat, ids, [".cd", "zzzzzz"], min_tokens=4) == 5  # may begin before


def test_pieces_are_those_of_the_tokenizers_own_stream(chat: Chat) -> None:
    from tokenizers.decoders import DecodeStream

    prompt = chat.tokenizer.encode("Compute 3 + 4.")
    ids = [*chat.tokenizer.encode("The sum is 7, d'accord — 日本. "), *bytes_of(chat, "über→"), *range(5, 200, 7)] * 2
    stream, ours = (
        DecodeStream(ids=prompt, skip_special_tokens=False),
        StopStrings(decoder_of(chat.tokenizer), prompt, ["\0"]),
    )
    for token in ids:
        before = ours.text
        ours.completed_by(token)
        assert ours.text[len(before) :] == (stream.step(chat.tokenizer._tokenizer, token) or "")
