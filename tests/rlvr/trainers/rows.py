"""Small data for the trainers that learn from rows: short questions, answers that follow a rule or do not."""

import json
import random
from pathlib import Path
from typing import Any

SCRATCH = "{hidden_size: 32, layers: 2, heads: 2, kv_heads: 2, intermediate_size: 64, max_length: 64}"


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def polite_pairs(count: int, seed: int = 0) -> list[dict[str, Any]]:
    """The better answer says `please`; both are as long as the other on average."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        words = [" ".join(draw.choice(("red", "blue", "green")) for _ in range(draw.randint(1, 3))) for _ in range(2)]
        rows.append(
            {
                "prompt": [user(f"say {draw.randrange(100)}")],
                "chosen": [assistant(f"{words[0]} please")],
                "rejected": [assistant(f"{words[1]} now")],
            }
        )
    return rows


def recipe(path: Path, trainer: str, **keys: Any) -> Path:
    """A configuration file; each value is YAML."""
    defaults = {"model": f"{{scratch: {SCRATCH}}}", "out": path.parent / "run", "optimizer": "{lr: 5.0e-3}", "steps": 2}
    lines = [f"{key}: {value}" for key, value in ({"trainer": trainer} | defaults | keys).items()]
    path.write_text("\n".join(lines))
    return path
