"""A reward model: a score for each answer, higher for the preferred answer (Bradley and Terry, 1952).

    loss = mean over prompts of the mean over the prompt's comparisons of
           -log sigmoid(r_better - r_worse - margin) + center_rewards_coef (r_better + r_worse)^2

A ranking of k answers is k (k - 1) / 2 comparisons of one prompt. To use it as a reward: `verify.reward_model`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor

from rlvr.algorithms.preference_loss import bradley_terry, centring, comparison_weights, comparisons
from rlvr.build import open_data_run
from rlvr.config import RewardModelConfig
from rlvr.data.examples import Answers, Examples, answer_batch, numbers_of
from rlvr.errors import DataError
from rlvr.evaluate_pairs import PairReport, pair_report
from rlvr.learners.base import Learner
from rlvr.run import Run
from rlvr.types import Batch
from tasks.rows import shuffled


def train(config: RewardModelConfig) -> Run:
    """Train until `config.steps`, from the last checkpoint in the run folder if there is one."""
    run, _, examples = open_data_run(config)
    assert examples is not None
    if config.margin:
        check_ratings(examples.train, config.data.train)
    if examples.held_out:
        run.measure = lambda: measure(run, examples)
    with run:
        for step in run.steps():
            numbers = numbers_of(step, config.rows_per_step)
            rows = [shuffled(number, len(examples.train), config.seed) for number in numbers]
            batch = answer_batch([examples.train[row] for row in rows])
            with run.clock("learn"):
                metrics = run.learner.update(batch, ComparisonLoss.of(batch, config)).metrics
            run.finish_step(step, metrics)
    return run


@dataclass(frozen=True)
class ComparisonLoss:
    """The loss of a microbatch. `prompts` counts the prompts of the whole step, before any split."""

    margin: bool
    center_rewards_coef: float
    prompts: int
    entropy_gradient: bool = False
    whole_groups: bool = True

    @classmethod
    def of(cls, batch: Batch, config: RewardModelConfig) -> "ComparisonLoss":
        assert batch.ranks_B is not None
        better, _ = comparisons(batch.ranks_B, batch.group_index)
        return cls(config.margin, config.center_rewards_coef, len(batch.group_index[better].unique()))

    def __call__(self, batch: Batch, scores_B: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        assert batch.ranks_B is not None
        better, worse = comparisons(batch.ranks_B, batch.group_index)
        margin: Tensor | float = 0.0
        if self.margin:
            assert batch.ratings_B is not None
            margin = batch.ratings_B[better] - batch.ratings_B[worse]
        per_pair = bradley_terry(scores_B[better], scores_B[worse], margin)
        if self.center_rewards_coef:
            per_pair = per_pair + self.center_rewards_coef * centring(scores_B[better], scores_B[worse])
        loss = (comparison_weights(better, batch.group_index, self.prompts) * per_pair).sum()
        difference = (scores_B[better] - scores_B[worse]).detach()
        stats = {"accuracy": (difference > 0).float(), "margin": difference, "score": scores_B.detach()}
        return loss, stats


def measure(run: Run, examples: Examples) -> dict[str, float]:
    """Score the held-out comparisons; print and return the results."""
    report = report_on(run.learner, examples.held_out)
    run.say(f"reward_model after step {run.done}: {report}")
    return report.metrics()


def report_on(learner: Learner, examples: Sequence[Answers]) -> PairReport:
    """The report on a reward model's scores of some comparisons."""
    batch = answer_batch(examples)
    assert batch.ranks_B is not None
    scores_B = learner.frozen_scores(batch)
    better, worse = comparisons(batch.ranks_B, batch.group_index)
    lengths_B = batch.completion_mask.sum(-1)
    return pair_report(
        scores_B[better], scores_B[worse], lengths_B[better], lengths_B[worse], batch.group_index[better]
    )


def check_ratings(examples: Sequence[Answers], source: str) -> None:
    """Refuse training rows without ratings, or with ratings that contradict their order. Held-out rows need none, since
    only their ranks are used. Raises `DataError`.
    """
    for example in examples:
        ratings = example.ratings
        if ratings is None or any(a < b for a, b in pairwise(ratings)):
            problem = "has none" if ratings is None else f"rates a worse answer higher: {ratings}"
            raise DataError(
                f"{source!r}, row {example.row}: margin is on and expects ratings (margin, score_chosen and "
                f"score_rejected, or ratings), best first; this row {problem}. Fix the row, or set margin=false"
            )
