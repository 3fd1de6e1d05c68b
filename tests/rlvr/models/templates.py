"""Chat templates with the shapes that people's models have, each with a tiny tokenizer: stand-ins for the real ones.

The templates are written anew; what matters of each is what it writes around a turn, and what it does to earlier ones.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

TEXTS = (
    "What is 2 + 3? The answer is 5, and 12 apples are 12 pears. You are a helpful assistant. Think, say it again.",
    "user assistant system model\n\n  if x == 1:\n    return 'it'\n\\frac{1}{2} \\boxed{7}",
) * 4

ALTERNATE = (
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
)


@dataclass(frozen=True)
class Family:
    """A template and the tokens of its tokenizer. `end` is what it writes behind an answer, `eos` what the tokenizer
    names, `adds_bos` whether the tokenizer begins every text with `bos`, `is_spaced` whether it is of SentencePiece's
    kind (a space belongs to the word behind it, and one is put before the first), `takes_breaks` whether its tokens
    swallow the space behind them."""

    template: str
    specials: tuple[str, ...]
    end: str
    eos: str
    bos: str | None = None
    pad: str | None = None
    adds_bos: bool = False
    is_spaced: bool = False
    takes_breaks: bool = False


CHATML_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
FAMILIES = {
    # A default system message; the base model's tokenizer names <|endoftext|> as its end.
    "qwen2_5": Family(
        "{% if messages[0]['role'] == 'system' %}"
        "{{ '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}{% else %}"
        "{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}"
        "{% for message in messages %}{% if message.role != 'system' %}"
        "{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
        CHATML_TOKENS,
        end="<|im_end|>",
        eos="<|endoftext|>",
        pad="<|endoftext|>",
    ),
    # Thoughts are written from a field or from the words, and taken out of all turns before the last question.
    "qwen3": Family(
        "{% set ns = namespace(last=-1) %}{% for message in messages %}{% if message.role == 'user' %}"
        "{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
        "{% for message in messages %}{% if message.role in ('user', 'system') %}"
        "{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
        "{% elif message.role == 'assistant' %}{% set content = message.content %}{% set thought = '' %}"
        "{% if message.reasoning_content is string %}{% set thought = message.reasoning_content %}"
        "{% elif '</think>' in content %}"
        "{% set thought = content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}"
        "{% set content = content.split('</think>')[-1].lstrip('\n') %}{% endif %}"
        "{{ '<|im_start|>assistant\n' }}"
        "{% if loop.index0 > ns.last and (loop.last or thought) %}"
        "{{ '<think>\n' + thought.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}"
        "{% else %}{{ content }}{% endif %}{{ '<|im_end|>\n' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
        "{% if enable_thinking is defined and enable_thinking is false %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
        "{% endif %}",
        (*CHATML_TOKENS, "<think>", "</think>"),
        end="<|im_end|>",
        eos="<|im_end|>",
        pad="<|endoftext|>",
    ),
    # The template begins the text itself, and so does the tokenizer.
    "llama3": Family(
        "{% for message in messages %}"
        "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' "
        "+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}"
        "{% endif %}{{ content }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
        ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        end="<|eot_id|>",
        eos="<|end_of_text|>",
        bos="<|begin_of_text|>",
        adds_bos=True,
    ),
    # No system message, and turns must alternate.
    "gemma2": Family(
        "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
        "{% endif %}{% for message in messages %}" + ALTERNATE + "{% if message['role'] == 'assistant' %}"
        "{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}"
        "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
        ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"),
        end="<end_of_turn>",
        eos="<eos>",
        bos="<bos>",
        pad="<pad>",
        adds_bos=True,
    ),
    # No words of its own where the assistant begins, a space in front of each answer, and no end behind a question.
    "mistral": Family(
        "{{ bos_token }}{% for message in messages %}" + ALTERNATE + "{% if message['role'] == 'user' %}"
        "{{ '[INST] ' + message['content'] + ' [/INST]' }}{% else %}{{ ' ' + message['content'] + eos_token }}"
        "{% endif %}{% endfor %}",
        ("<unk>", "<s>", "</s>"),
        end="</s>",
        eos="</s>",
        bos="<s>",
        adds_bos=True,
        is_spaced=True,
    ),
    # Another end behind the whole conversation than behind a turn.
    "phi3": Family(
        "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}"
        "{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}",
        ("<unk>", "<|endoftext|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"),
        end="<|end|>",
        eos="<|endoftext|>",
        pad="<|endoftext|>",
        is_spaced=True,
        takes_breaks=True,
    ),
    # The prompt opens the thought, and no thought is ever written again.
    "r1_distill": Family(
        "{{ bos_token }}{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] }}"
        "{% elif message['role'] == 'user' %}{{ '<|User|>' + message['content'] }}{% else %}"
        "{% set content = message['content'] %}{% if '</think>' in content %}"
        "{% set content = content.split('</think>')[-1] %}{% endif %}"
        "{{ '<|Assistant|>' + content + '<|end_of_sentence|>' }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|Assistant|><think>\n' }}{% endif %}",
        ("<|begin_of_sentence|>", "<|end_of_sentence|>", "<|User|>", "<|Assistant|>", "<think>", "</think>"),
        end="<|end_of_sentence|>",
        eos="<|end_of_sentence|>",
        bos="<|begin_of_sentence|>",
        pad="<|end_of_sentence|>",
        adds_bos=True,
    ),
    # Contents are lists of parts, as for models that also read pictures.
    "parts": Family(
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}"
        "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}"
        "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
        CHATML_TOKENS,
        end="<|im_end|>",
        eos="<|im_end|>",
        pad="<|endoftext|>",
    ),
}


def stand_in(name: str, template: str | None = None) -> PreTrainedTokenizerFast:
    """A new tokenizer of a family, with its template or another."""
    family = FAMILIES[name]
    return PreTrainedTokenizerFast(
        tokenizer_object=backend(name),  # it takes a copy
        eos_token=family.eos,
        bos_token=family.bos,
        pad_token=family.pad,
        chat_template=family.template if template is None else template,
        clean_up_tokenization_spaces=False,
    )


@cache
def backend(name: str) -> Tokenizer:
    family = FAMILIES[name]
    tokenizer = spaced(family) if family.is_spaced else bytewise(family)
    if family.adds_bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{family.bos} $A", special_tokens=[(str(family.bos), tokenizer.token_to_id(str(family.bos)))]
        )
    return tokenizer


def bytewise(family: Family) -> Tokenizer:
    """Byte-level BPE, with each digit apart: the kind of GPT-2, Qwen, Llama 3."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\d"), behavior="isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=list(family.specials), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def spaced(family: Family) -> Tokenizer:
    """BPE over words that carry the space before them, bytes for all else: the kind of Llama 2, Mistral and Phi-3."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    specials = (AddedToken(token, rstrip=family.takes_breaks, normalized=False) for token in family.specials)
    pieces = [*specials, *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=pieces, show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def saved(name: str, folder: Path) -> Path:
    """The tokenizer of a family in a folder, as a model would bring it."""
    stand_in(name).save_pretrained(folder)
    return folder
