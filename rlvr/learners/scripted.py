"""A learner without a model that counts its optimizer steps, to test the loop together with `engines.scripted`."""

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import Tensor

from rlvr.learners.base import LearnerStats, Loss, Snapshot, Total, Update
from rlvr.types import Batch


class ScriptedLearner:
    """Every log-probability, value and score is 0. `batches` holds the batch of each optimizer step."""

    def __init__(self) -> None:
        self.version = 0
        self.batches: list[Batch] = []

    def update(self, batch: Batch, loss: Loss) -> Update:
        self.version += 1
        self.batches.append(batch)
        totals = {"loss": Total(0.0), "grad_norm": Total(0.0), "lr": Total(0.0), "skipped": Total(0.0)}
        return Update(totals, torch.zeros(batch.input_ids.shape))

    def frozen_logprobs(self, batch: Batch, rows: Tensor, reference: bool = False) -> Tensor:
        return torch.zeros(batch.input_ids.shape)

    def snapshot(self, batch: Batch) -> Snapshot:
        zeros = torch.zeros(batch.input_ids.shape)
        return Snapshot(zeros, zeros, torch.zeros(len(batch)))

    def frozen_scores(self, batch: Batch) -> Tensor:
        return torch.zeros(len(batch))

    def weight_names(self) -> frozenset[str]:
        return frozenset()

    def buckets(self, max_bytes: int) -> Iterator[Mapping[str, Tensor]]:
        return iter(())

    def adapter(self) -> Mapping[str, Tensor] | None:
        return None

    def perturbed(self, noise: float) -> AbstractContextManager[object]:
        return nullcontext()

    def save(self, folder: Path) -> None:
        (folder / "learner.json").write_text(json.dumps({"version": self.version}))

    def load(self, folder: Path) -> None:
        self.version = json.loads((folder / "learner.json").read_text())["version"]

    def export(self, folder: Path) -> None:
        (folder / "scripted.json").write_text(json.dumps({"version": self.version}))

    def export_adapter(self, folder: Path) -> bool:
        return False

    def stats(self) -> LearnerStats:
        return LearnerStats(tokens=sum(int(batch.attention_mask.sum()) for batch in self.batches), peak_memory_mb=0.0)
