"""Draw the learning curves of finished runs, and print their evaluations as a table.

python bench/learning_curve.py docs/quickstart.png runs/seed0 runs/seed1 runs/seed2
"""

import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

from rlvr.runfolder.metrics import read_metrics

SMOOTH = 5  # steps that a point of the training curve is the mean of


def main(picture: str, *folders: str) -> None:
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.6), constrained_layout=True)
    for folder in map(Path, folders):
        rows = read_metrics(folder / "metrics.jsonl")
        steps = [row["step"] for row in rows if "reward/mean" in row]
        curve(left, steps, [row["reward/mean"] for row in rows if "reward/mean" in row], folder.name)
        curve(right, steps, [row["groups/with_signal"] for row in rows if "reward/mean" in row], folder.name)
        evaluated = [row for row in rows if row.get("eval/greedy") is not None]
        means = [row["eval/greedy"] for row in evaluated]
        errors = [
            [row["eval/greedy"] - row["eval/greedy_low"] for row in evaluated],
            [row["eval/greedy_high"] - row["eval/greedy"] for row in evaluated],
        ]
        left.errorbar([row["step"] for row in evaluated], means, errors, fmt="ko", markersize=3, capsize=3)
        print(folder.name, *(f"{row['step']}: greedy {row['eval/greedy']:.3f}" for row in evaluated), sep="  ")
    left.set(xlabel="RL step", ylabel="share of completions that are right", ylim=(0, 1), title="Reward in training")
    left.text(
        0.98, 0.05, "points: greedy accuracy on held-out problems, 95 %", ha="right", transform=left.transAxes, size=8
    )
    right.set(xlabel="RL step", ylabel="share of groups", ylim=(0, 1), title="Groups that carry a signal")
    left.legend(loc="center right", fontsize=8)
    figure.savefig(picture, dpi=120)


def curve(axes, steps: list[float], values: list[float], label: str) -> None:
    smooth = [
        sum(values[max(0, i - SMOOTH + 1) : i + 1]) / len(values[max(0, i - SMOOTH + 1) : i + 1])
        for i in range(len(values))
    ]
    axes.plot(steps, smooth, label=label)


if __name__ == "__main__":
    main(*sys.argv[1:])
