"""Where the text of a completion first contains a stop string, token by token.

Texts are decoded as vLLM decodes them: special tokens are spelled out, and a token that ends within a character (of
several bytes) adds nothing until the character is complete.
"""

from collections.abc import Callable, Sequence

from transformers import PreTrainedTokenizerBase

# Text is decoded from the latest tokens only: at least KEPT_TOKENS, which are enough context for any tokenizer, and at
# most WINDOW_TOKENS more.
KEPT_TOKENS = 6
WINDOW_TOKENS = 24
INCOMPLETE = "\ufffd"


class StopStrings:
    """Looks for `stop` in the text of one completion after a prompt. `text` is what was decoded so far.

    A stop string may begin in an earlier token than the one that completes it. One that is complete within the first
    `min_tokens` tokens is passed over.
    """

    def __init__(
        self, decode: Callable[[list[int]], str], prompt_ids: Sequence[int], stop: Sequence[str], min_tokens: int = 0
    ) -> None:
        self.decode = decode
        self.stop = stop
        self.min_tokens = min_tokens
        self.tokens = 0
        self.text = ""
        # The prompt is context: the first token of a sentence is decoded without the space before it.
        self.ids = list(prompt_ids[-KEPT_TOKENS:])
        self.read = decode(self.ids)

    def completed_by(self, token: int) -> bool:
        """Add a token. Returns whether its text completes a stop string."""
        self.tokens += 1
        new = self._text_of(token)
        self.text += new
        if not new or self.tokens <= self.min_tokens:
            return False
        return any(stop in self.text[-(len(new) + len(stop) - 1) :] for stop in self.stop)

    def _text_of(self, token: int) -> str:
        self.ids.append(token)
        text = self.decode(self.ids)
        if len(text) <= len(self.read) or text.endswith(INCOMPLETE):
            return ""
        new = text[len(self.read) :]
        if len(self.ids) > KEPT_TOKENS + WINDOW_TOKENS:
            self.ids = self.ids[-KEPT_TOKENS:]
            text = self.decode(self.ids)
        self.read = text
        return new


def decoder_of(tokenizer: PreTrainedTokenizerBase) -> Callable[[list[int]], str]:
    """Decodes tokens as they are: special tokens are spelled out, and no space is removed."""

    def decode(ids: list[int]) -> str:
        return str(tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))

    return decode
