from pathlib import Path

from rlvr.commands.config_page import key_page
from rlvr.config import GRPOConfig


def test_the_page_of_all_keys_is_current() -> None:
    written = Path("docs/configuration.md").read_text()
    assert written == key_page(), "write it anew: rlvr config --reference > docs/configuration.md"


def test_it_holds_sections_bounds_defaults_and_what_an_option_is() -> None:
    rows = key_page().splitlines()
    assert "| `top_k` | whole number, at least 0 | 0 | 0 keeps all tokens. |" in rows
    assert "| `steps` | whole number, at least 1 | **required** |  |" in rows
    described = "Completions of each prompt."
    assert GRPOConfig.model_fields["group_size"].description == described
    assert f"| `group_size` | whole number, at least 1 | 8 | {described} |" in rows
    assert "## `model.lora`" in rows
    assert "| `dtype` | `float32`, `bfloat16` | float32 |" in "\n".join(rows)
    assert "| `slip_share` | number | 0.0 |" in rows


def test_it_says_what_the_function_of_each_choice_takes() -> None:
    rows = key_page().splitlines()
    assert "| `keep` | `group: Group` | `bool` | `all`, `mixed` |" in rows
    takes = "`tokens: Tokens, objective: Objective` | `tuple[Tensor, Tensor]`"
    assert any(row.startswith(f"| `surrogate` | {takes} | `clip`") for row in rows)
