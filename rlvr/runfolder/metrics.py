"""The metrics of a run: one line per step in `metrics.jsonl`, and the same in TensorBoard.

Keys under `time/` and `speed/` depend on the machine; all others are equal in every run of a configuration.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path

from rlvr.runfolder.files import whole_file

MACHINE_DEPENDENT = ("time/", "speed/")


class MetricsLog:
    """Appends rows to `folder/metrics.jsonl`.

    Rows after step `done` are from before an interruption and are dropped: the run writes them again.
    """

    def __init__(self, folder: Path, done: int) -> None:
        from torch.utils.tensorboard import SummaryWriter  # imports for a second

        self.path = folder / "metrics.jsonl"
        kept = [row for row in read_metrics(self.path) if done > 0 and row["step"] <= done]
        with whole_file(self.path) as partial:
            partial.write_text("".join(_line(row) for row in kept))
        self.file = self.path.open("a")
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=done + 1 if done else None)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Append one row and flush it to the file."""
        self.file.write(_line({"step": step, **metrics}))
        self.file.flush()
        for name, value in metrics.items():
            self.board.add_scalar(name, value, step)

    def close(self) -> None:
        self.file.close()
        self.board.close()


def read_metrics(path: Path) -> list[dict[str, float]]:
    """The rows of a `metrics.jsonl`, without a last line that a crash cut off."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows


def _line(row: Mapping[str, float]) -> str:
    # JSON has no NaN: numbers that are not finite become null, and so stay visible.
    finite = {name: None if isinstance(v, float) and not math.isfinite(v) else v for name, v in row.items()}
    return json.dumps(finite) + "\n"
