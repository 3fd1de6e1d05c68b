"""What a tokenizer does to texts: the right one for a model, and whether it gives back what was written."""

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.utils import cached_file

from rlvr.errors import ModelError

# What a tokenizer must give back as it was: words apart, digits, indentation, LaTeX.
ROUND_TRIPS = ("a b 2 + 3", "def f(x):\n    return x\n\n\ty = 12345", r"so \frac{1}{2} = \boxed{7}, ok . Yes")


def load_tokenizer(path: str, trust_remote_code: bool = False, revision: str | None = None) -> PreTrainedTokenizerBase:
    """The tokenizer of a model as its tokenizer.json describes it.

    transformers 5 builds some tokenizers anew from the class that tokenizer_config.json names, and then they split
    texts in another way (DeepSeek-V3's as a Llama's, which loses spaces). Where the two differ the file is right: it is
    what the model was trained with. Whether a text begins with BOS the configuration says (`add_bos_token`).
    """
    tokenizer = AutoTokenizer.from_pretrained(path, trust_remote_code=trust_remote_code, revision=revision)
    file = optional_file(path, "tokenizer.json", revision)
    if file is None or type(tokenizer) is PreTrainedTokenizerFast:
        return tokenizer
    described = Tokenizer.from_file(file)
    for text in ROUND_TRIPS:
        ids = described.encode(text, add_special_tokens=False).ids
        if ids != tokenizer.encode(text, add_special_tokens=False):
            as_described = PreTrainedTokenizerFast.from_pretrained(path, revision=revision)
            if adds_bos(path, revision) and as_described.bos_token_id not in leading_ids(as_described):
                as_described.add_bos_token = True  # it is saved in tokenizer.json
            return as_described if round_trip(as_described, text) == text else tokenizer
    return tokenizer


def adds_bos(path: str, revision: str | None = None) -> bool:
    """Whether tokenizer_config.json says that a text begins with BOS. Tokenizers without a class of their own ignore
    it under transformers 5."""
    file = optional_file(path, "tokenizer_config.json", revision)
    return file is not None and bool(json.loads(Path(file).read_text(encoding="utf-8")).get("add_bos_token"))


def optional_file(path: str, name: str, revision: str | None = None) -> str | None:
    """The path of a file of a model on this machine, or `None` if the model has no such file."""
    file: str | None = cached_file(
        path,
        name,
        revision=revision,
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_gated_repo=False,
        _raise_exceptions_for_connection_errors=False,
    )
    return file


def check_round_trips(tokenizer: PreTrainedTokenizerBase, where: str) -> None:
    """Refuse a tokenizer that loses the spaces between words, and say if it changes texts otherwise.

    Raises `ModelError`.
    """
    for text in ROUND_TRIPS:
        back = round_trip(tokenizer, text)
        if back == text:
            continue
        if back.split() != text.split() and "".join(back.split()) == "".join(text.split()):
            raise ModelError(
                f"the tokenizer of {where} loses spaces: {text!r} comes back as {back!r}, so neither the model nor a "
                "verifier would read what was written. Load its tokenizer.json with "
                "PreTrainedTokenizerFast, and save it"
            )
        say(f"the tokenizer of {where} changes texts: {text!r} comes back as {back!r}")
        return


def written_text(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of tokens, special ones too, as they stand."""
    text = tokenizer.decode(
        list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False, spaces_between_special_tokens=False
    )
    return str(text)


def round_trip(tokenizer: PreTrainedTokenizerBase, text: str) -> str:
    """A text as tokens and back."""
    back = str(tokenizer.decode(tokenizer.encode(text, add_special_tokens=False), clean_up_tokenization_spaces=False))
    return back.removeprefix(" ") if not text.startswith(" ") else back


def say(warning: str) -> None:
    print(f"warning: {warning}", flush=True)


def leading_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """What the tokenizer puts before any text: mostly the token that begins it (BOS), or nothing."""
    bare_ids, ids = tokenizer.encode("a", add_special_tokens=False), tokenizer.encode("a")
    places = (place for place in range(len(ids)) if ids[place : place + len(bare_ids)] == bare_ids)
    return tuple(ids[: next(places, 0)])


def first_added(tokenizer: PreTrainedTokenizerBase, text: str) -> tuple[str, str, str]:
    """The text before the first token that was added to the vocabulary, that token, and what is behind it.

    Without such a token the last two are empty.
    """
    found = [
        (text.index(token), -len(token), token)
        for token in {*tokenizer.get_added_vocab(), *tokenizer.all_special_tokens}
        if token.strip(" \n\t▁") and token in text
    ]
    if not found:
        return text, "", ""
    place, _, token = min(found)
    return text[:place], token, text[place + len(token) :]
