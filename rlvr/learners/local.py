"""The learner in this process: the model and its optimizer on one device.

One call is one optimizer step, whatever the number of microbatches.
"""

import json
import math
import resource
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase
from typing_extensions import TypeVar

from rlvr.batching import Piece, one_longer, plan
from rlvr.config import OptimizerConfig
from rlvr.errors import CheckpointError, ConfigError, DivergenceError
from rlvr.learners.base import Learner, LearnerStats, Loss, Snapshot, Total, Update
from rlvr.learners.optimizer import LossScale, lr_at, make_optimizer
from rlvr.models.adapters import save_adapters, stands_alone
from rlvr.models.heads import RewardModel
from rlvr.models.policy import Policy, TokenScores
from rlvr.models.weights import merged_shapes
from rlvr.runfolder.checkpoint import writing
from rlvr.types import Batch

WEIGHTS, MOMENTS, STATE = "weights.safetensors", "optimizer.pt", "learner.json"
# The names of a critic's weights begin with it.
CRITIC = "critic."


class Scorer(Protocol):
    """A trainable model: a policy, or another model that scores the rows of a batch."""

    model: Any

    @property
    def device(self) -> torch.device: ...

    def train(self, mode: bool = True) -> None: ...

    def trainable(self) -> dict[str, nn.Parameter]: ...

    def scores(self, batch: Batch, entropy_gradient: bool = False) -> Any: ...

    def named_weights(self) -> Iterator[tuple[str, Tensor]]: ...

    def adapter(self) -> Mapping[str, Tensor] | None: ...

    def save(self, folder: Path, tokenizer: PreTrainedTokenizerBase) -> None: ...


Model = TypeVar("Model", bound=Scorer, default=Policy)

# A single bad batch can happen; three in a row mean that the run has diverged.
MAX_SKIPPED_IN_A_ROW = 3


@dataclass
class LocalLearner(Generic[Model]):
    """Holds the policy (or reward model) and its optimizer. `steps` is the length of the schedule, in optimizer steps.

    `reference` is a frozen policy for the KL term; with adapters it is the same policy without them. `tokenizer` is
    exported with the model. `loss_scale` is more than 1 where the model computes in float16.
    """

    policy: Model
    config: OptimizerConfig
    steps: int
    reference: Policy | None = None
    tokenizer: PreTrainedTokenizerBase | None = None
    version: int = 0
    skipped_in_a_row: int = 0
    tokens_seen: int = 0
    loss_scale: LossScale = field(default_factory=LossScale)
    optimizer: torch.optim.Optimizer = field(init=False)

    def __post_init__(self) -> None:
        self.optimizer = make_optimizer(self.config, self.policy.trainable().values())

    def update(self, batch: Batch, loss: Loss) -> Update:
        self.policy.train()
        (pieces,) = plan(batch, self.config.microbatch_tokens, whole_groups=loss.whole_groups)
        while True:
            self.optimizer.zero_grad(set_to_none=True)
            totals, logprobs = self.accumulate(batch, pieces, loss)
            self.tokens_seen += int(batch.attention_mask.sum())
            value, grad_norm = totals["loss"].value, self._clip_gradient()
            if math.isfinite(grad_norm) or not math.isfinite(value) or not self.loss_scale.can_be_less:
                return Update(totals | self._apply_gradient(value, grad_norm), logprobs)
            self.loss_scale = self.loss_scale.halved()  # the gradient was too large for float16: compute it again

    def accumulate(self, batch: Batch, pieces: Sequence[Piece], loss: Loss) -> tuple[dict[str, Total], Tensor]:
        """Add the gradients of some pieces of `batch`: the share of one rank. Returns its totals and log-probabilities.

        The losses of all pieces of all ranks add up, so nothing is divided here. A filler is computed but not counted.
        """
        device = self.policy.device
        sums: dict[str, Tensor] = {"loss": torch.zeros((), device=device)}
        counts: dict[str, int] = {"loss": 0}
        logprobs = torch.zeros(batch.input_ids.shape, device=device)
        for piece in pieces:
            part = batch.rows(piece.rows).to(device)
            scores = self.policy.scores(part, loss.entropy_gradient)
            value, stats = loss(part, scores)
            if piece.is_filler:
                (0 * value).backward()
                continue
            (self.loss_scale.factor * value).backward()
            if isinstance(scores, TokenScores):
                logprobs[piece.rows.to(device), : part.input_ids.shape[1]] = scores.logprobs.detach().float()
            sums["loss"] += value.detach()
            tokens = int(batch.completion_mask[piece.rows].sum())
            for name, stat in stats.items():
                of_tokens = stat.dim() == 2
                total = (stat * part.completion_mask).sum() if of_tokens else stat.sum()
                count = tokens if of_tokens else len(stat)
                sums[name] = sums.get(name, torch.zeros((), device=device)) + total
                counts[name] = counts.get(name, 0) + count
        return {name: Total(float(total), counts[name]) for name, total in sums.items()}, logprobs.cpu()

    def _clip_gradient(self) -> float:
        """Divide the gradient by the loss scale and clip it. Returns its norm before clipping."""
        parameters = self.policy.trainable().values()
        if self.loss_scale.factor != 1:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad.div_(self.loss_scale.factor)
        return float(torch.nn.utils.clip_grad_norm_(parameters, self.config.max_grad_norm or math.inf))

    def _apply_gradient(self, loss: float, grad_norm: float) -> dict[str, Total]:
        lr = lr_at(self.config, self.version, self.steps)
        finite = math.isfinite(loss) and math.isfinite(grad_norm)
        if finite:
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            self.optimizer.step()
            self.loss_scale = self.loss_scale.after_step()
        self.optimizer.zero_grad(set_to_none=True)
        self.version += 1
        self.skipped_in_a_row = 0 if finite else self.skipped_in_a_row + 1
        if self.skipped_in_a_row == MAX_SKIPPED_IN_A_ROW:
            raise DivergenceError(
                f"loss or gradient was not a finite number in {MAX_SKIPPED_IN_A_ROW} optimizer steps in a row (last: "
                f"loss {loss}, gradient norm {grad_norm}); expected finite numbers. Lower optimizer.lr, or set "
                "optimizer.max_grad_norm; the last checkpoint is from before."
            )
        return {"grad_norm": Total(grad_norm), "lr": Total(lr), "skipped": Total(float(not finite))}

    # -- frozen passes ---------------------------------------------------------------------------------------------

    @torch.no_grad()
    def frozen_logprobs(self: "LocalLearner[Policy]", batch: Batch, rows: Tensor, reference: bool = False) -> Tensor:
        policy = (self.reference or self.policy) if reference else self.policy
        policy.train(False)
        out = torch.zeros(batch.input_ids.shape)
        with policy.as_at_start() if reference else nullcontext():
            for piece in plan(batch.rows(rows), self.config.microbatch_tokens)[0]:
                chosen = batch.rows(rows[piece.rows])
                scores = policy.scores(chosen.to(policy.device))
                out[rows[piece.rows], : chosen.input_ids.shape[1]] = scores.logprobs.cpu()
        return out

    @torch.no_grad()
    def snapshot(self: "LocalLearner[Policy]", batch: Batch) -> Snapshot:
        """One forward pass over rows with one more token, whose value is that of the state after the last token."""
        self.policy.train(False)
        longer = one_longer(batch)
        logprobs, values = (torch.zeros(longer.input_ids.shape) for _ in range(2))
        for piece in plan(longer, self.config.microbatch_tokens)[0]:
            part = longer.rows(piece.rows)
            scores = self.policy.scores(part.to(self.policy.device))
            assert scores.values is not None
            width = part.input_ids.shape[1]
            logprobs[piece.rows, :width], values[piece.rows, :width] = scores.logprobs.cpu(), scores.values.cpu()
        after_B = values[torch.arange(len(batch)), batch.lengths_B]
        mask = batch.completion_mask
        return Snapshot(logprobs[:, :-1] * mask, values[:, :-1] * mask, after_B)

    @torch.no_grad()
    def frozen_scores(self: "LocalLearner[RewardModel]", batch: Batch) -> Tensor:
        self.policy.train(False)
        scores_B = torch.zeros(len(batch))
        for piece in plan(batch, self.config.microbatch_tokens)[0]:
            scores_B[piece.rows] = self.policy.scores(batch.rows(piece.rows).to(self.policy.device)).cpu()
        return scores_B

    # -- weights ---------------------------------------------------------------------------------------------------

    def weight_names(self) -> frozenset[str]:
        return frozenset(merged_shapes(self.policy.model))

    def buckets(self, max_bytes: int) -> Iterator[Mapping[str, Tensor]]:
        bucket: dict[str, Tensor] = {}
        size = 0
        for name, weight in self.policy.named_weights():
            if bucket and size + weight.nbytes > max_bytes:
                yield bucket
                bucket, size = {}, 0
            bucket[name] = weight
            size += weight.nbytes
        if bucket:
            yield bucket

    def adapter(self) -> Mapping[str, Tensor] | None:
        return self.policy.adapter()

    @contextmanager
    def perturbed(self, noise: float) -> Iterator[None]:
        parameters = self.policy.trainable()
        kept = {name: parameter.detach().clone() for name, parameter in parameters.items()}
        try:
            add_noise(parameters.values(), noise)
            yield
        finally:
            with torch.no_grad():
                for name, parameter in parameters.items():
                    parameter.copy_(kept[name])

    def save(self, folder: Path) -> None:
        """weights.safetensors: the trained weights, all or only adapters; optimizer.pt: the moments of AdamW."""
        weights = {name: weight.detach().cpu().contiguous() for name, weight in self.policy.trainable().items()}
        with writing(folder / WEIGHTS) as path:
            save_file(weights, path)
        with writing(folder / MOMENTS) as path:
            torch.save(self.optimizer.state_dict(), path)
        with writing(folder / STATE) as path:
            state = {"version": self.version, "skipped_in_a_row": self.skipped_in_a_row}
            path.write_text(json.dumps(state | {"loss_scale": asdict(self.loss_scale)}))

    def load(self, folder: Path) -> None:
        device = self.policy.device
        load_weights(self.policy, folder)
        moments = torch.load(folder / MOMENTS, map_location=device, weights_only=True)
        # Settings such as betas are those of the configuration, which may have changed since.
        self.optimizer.load_state_dict(moments | {"param_groups": self.optimizer.state_dict()["param_groups"]})
        state = json.loads((folder / STATE).read_text())
        self.version, self.skipped_in_a_row = state["version"], state["skipped_in_a_row"]
        if "loss_scale" in state:  # older checkpoints have none
            self.loss_scale = LossScale(**state["loss_scale"])

    def export(self, folder: Path) -> None:
        if self.tokenizer is None:
            raise ValueError("this learner has no tokenizer; expected one to export with the model")
        self.policy.save(folder, self.tokenizer)

    def export_adapter(self, folder: Path) -> bool:
        policy = self.policy
        if self.tokenizer is None or not isinstance(policy, Policy) or policy.adapters is None:
            return False
        if stands_alone(policy.model):
            save_adapters(policy.adapters, folder, self.tokenizer)
            return True
        return False

    def stats(self) -> LearnerStats:
        return LearnerStats(self.tokens_seen, peak_memory_mb(self.policy.device))


@torch.no_grad()
def load_weights(model: Scorer, folder: Path) -> None:
    """Load the trained weights of the checkpoint in `folder` into a model, without its critic and its optimizer.

    Raises `CheckpointError` if they are of another model.
    """
    weights = load_file(folder / WEIGHTS, device=str(model.device))
    own = model.trainable()
    strange = [
        name for name, parameter in own.items() if name not in weights or weights[name].shape != parameter.shape
    ] + [name for name in weights if name not in own and not name.startswith(CRITIC)]
    if strange:
        raise CheckpointError(
            f"the checkpoint {folder} holds the weights of another model: {strange[0]!r} is not in both, or has "
            f"another shape ({len(strange)} such); expected the model and the adapters of the run's own configuration"
        )
    for name, parameter in own.items():
        parameter.copy_(weights[name])


def in_this_process(learner: Learner, what: str) -> "LocalLearner[Policy]":
    """The learner itself, if its weights are in this process, as `what` needs. Raises `ConfigError` otherwise."""
    if not isinstance(learner, LocalLearner):
        raise ConfigError(
            f"{what} works on the weights themselves and is for one process: got a {type(learner).__name__}, expected "
            "a learner in this process. Train with one process, or leave it out"
        )
    return learner


@torch.no_grad()
def add_noise(parameters: Iterable[Tensor], noise: float) -> None:
    """Add normal noise: `noise` times the spread of each tensor, or a little if it has none."""
    generator = torch.Generator().manual_seed(0)
    for parameter in parameters:
        scale = noise * (float(parameter.float().std(unbiased=False)) + 0.01)
        parameter.add_((torch.randn(parameter.shape, generator=generator) * scale).to(parameter))


def peak_memory_mb(device: torch.device) -> float:
    """Peak memory so far in MiB: torch's on a GPU, the process's on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB, but bytes on macOS
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
