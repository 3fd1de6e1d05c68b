"""A reward model instead of a verifier: `verify.verifier: reward_model`.

Verifiers run in separate processes without torch; a reward model needs weights on a device. It therefore runs here, in
the process of the policy, behind the same interface: the completions of a problem in, verdicts out, one batch per
group. Its verdicts have the status `scored`; their score, any real number, is the reward, unchanged. Evaluations still
use the task's own verifier (or `eval.verifier`), so that the learned and the true score can be compared.

A reward model has only seen complete answers, and scores a cut-off one as if it were complete. `cut_off_penalty` is
subtracted from its score, and its detail says so, so that not ending does not pay (compare the "EOS trick" of Huang et
al., 2024, arXiv:2403.17031, which replaces the score with -1).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock
from time import monotonic

import torch

from rlvr.batching import plan, token_batch
from rlvr.config import LearnedRewardConfig, ModelConfig
from rlvr.errors import DataError
from rlvr.models.chat import Chat
from rlvr.models.heads import RewardModel, load_reward_model
from rlvr.models.load import load_chat
from rlvr.types import Rollout
from tasks import Problem
from verifiers import Verdict


@dataclass(frozen=True)
class RewardModelGrader:
    """Scores completions with a reward model and its own tokenizer. Threads take turns."""

    model: RewardModel
    chat: Chat
    batch_tokens: int
    cut_off_penalty: float = 0.0
    turn: Lock = field(default_factory=Lock, repr=False)

    def __call__(self, problem: Problem, rollouts: Sequence[Rollout]) -> list[Verdict]:
        """One verdict per completion, with `score=None` if the completion is too long for the reward model."""
        started = monotonic()
        try:
            encoded = [
                self.chat.encode(problem.prompt, ({"role": "assistant", "content": rollout.text},))
                for rollout in rollouts
            ]
        except DataError as error:
            raise DataError(
                f"problem {problem.id!r} of {problem.source!r}, for the reward model's own template: {error}"
            ) from error
        fitting = [i for i, (prompt, ids, _) in enumerate(encoded) if len(prompt) + len(ids) <= self.chat.context]
        scores = dict(zip(fitting, self._scores([encoded[i] for i in fitting]), strict=True))
        seconds = (monotonic() - started) / max(1, len(rollouts))
        too_long = f"longer than the {self.chat.context} tokens that the reward model reads"
        return [
            self._verdict(scores[i], rollout, seconds)
            if i in scores
            else Verdict(None, "error", detail=too_long, seconds=seconds)
            for i, rollout in enumerate(rollouts)
        ]

    def _verdict(self, score: float, rollout: Rollout, seconds: float) -> Verdict:
        if rollout.finish != "length" or not self.cut_off_penalty:
            return Verdict(score, "scored", seconds=seconds)
        detail = f"{score:.4g}, and cut off: {self.cut_off_penalty:g} subtracted"
        return Verdict(score - self.cut_off_penalty, "scored", detail=detail, seconds=seconds)

    @torch.no_grad()
    def _scores(self, rows: Sequence[tuple[list[int], list[int], list[bool]]]) -> list[float]:
        if not rows:
            return []
        prompts, answers, learned = zip(*rows, strict=True)
        batch = token_batch(prompts, answers, learned, [0] * len(rows))
        scores_B = torch.zeros(len(rows))
        with self.turn:
            for piece in plan(batch, self.batch_tokens)[0]:
                scores_B[piece.rows] = self.model.scores(batch.rows(piece.rows).to(self.model.device)).cpu()
        return list(scores_B.tolist())


def load_reward_model_grader(config: LearnedRewardConfig, device: torch.device) -> RewardModelGrader:
    """The frozen reward model in `config.path`, on `config.device` or else on `device`."""
    chat = load_chat(config.path)
    where = torch.device(config.device) if config.device else device
    model = load_reward_model(ModelConfig(path=config.path, dtype=config.dtype), chat, where, seed=0, may_draw=False)
    model.model.requires_grad_(False)
    model.train(False)
    return RewardModelGrader(model, chat, config.batch_tokens, config.cut_off_penalty)
