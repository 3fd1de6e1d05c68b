"""`rlvr overoptimization`: scores the evaluations of finished runs with a reward model too, and writes one page.

The ledger of an evaluation holds the drawn completions and their rewards from the task's own verifier. The reward model
scores the same completions. The KL is the one that the run logged, if it logged one; at the end of the run it is the
mean of log pi - log pi_initial over the completions of the last evaluation, for which both models are loaded.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy
import pyarrow.parquet
import torch

from rlvr.batching import token_batch
from rlvr.build import task_of, template_of
from rlvr.config import LearnedRewardConfig, ModelConfig, PolicyRunConfig, RLConfig
from rlvr.config.file import load_config
from rlvr.errors import DataError
from rlvr.learners.local import LocalLearner
from rlvr.models.load import load_chat, load_policy
from rlvr.preflight import first_problems, pick_device
from rlvr.report.overoptimization_page import ScoredCompletion, ScoredRun, charts, headline, render
from rlvr.report.pictures import save_charts
from rlvr.rollouts.evaluate import lowest
from rlvr.rollouts.reward_model_grader import RewardModelGrader, load_reward_model_grader
from rlvr.runfolder.claim import cold_start_of, model_of
from rlvr.runfolder.files import whole_file
from rlvr.runfolder.metrics import read_metrics
from rlvr.types import Rollout
from tasks import Problem


def write_page(folders: Sequence[Path], out: Path, reward_model: str | None, command: str, png: bool = False) -> None:
    """Score the runs in `folders`, print one headline for each, and write the page.

    `reward_model` defaults to the one that the first run with a learned reward was trained against. Raises `DataError`
    where a folder holds no evaluations with drawn completions.
    """
    configs = [config_of(folder) for folder in folders]
    path = reward_model or next((c.verify.reward_model.path for c in configs if c.verify.reward_model), None)
    if path is None:
        raise DataError("none of these runs was trained against a reward model; name one with --reward-model PATH")
    # Cut-off completions are scored as they are; the page shows their share.
    grader = load_reward_model_grader(LearnedRewardConfig(path=path, cut_off_penalty=0), pick_device(configs[0].device))
    names = [folder.name for folder in folders]
    names = names if len(set(names)) == len(names) else [str(folder) for folder in folders]
    runs = [score_run(*one, grader) for one in zip(names, folders, configs, strict=True)]
    if len({run.scores_EP.shape[1] for run in runs}) > 1:
        raise DataError("these runs were evaluated on different numbers of problems; expected the same eval.problems")
    for run in runs:
        print(headline(run))
    with whole_file(out) as partial:
        partial.write_text(render(runs, path, command), encoding="utf-8")
    print(f"written: {out}")
    if png:
        print(f"written: {save_charts(charts(runs), out.with_suffix('.png'))}")


def config_of(folder: Path) -> PolicyRunConfig:
    if not (folder / "config.yaml").exists():
        raise DataError(f"{folder} is not a run folder: it has no config.yaml; expected a folder that rlvr train wrote")
    config = load_config(folder / "config.yaml")
    if not isinstance(config, PolicyRunConfig):
        raise DataError(f"{folder} holds a run of trainer: {config.trainer}; expected one that trained a policy")
    return config


def score_run(name: str, folder: Path, config: PolicyRunConfig, grader: RewardModelGrader) -> ScoredRun:
    """The evaluations of a run with both scores. Raises `DataError` where there are fewer than two."""
    ledgers = sorted(folder.glob("evaluations/step-*-drawn.parquet"))
    if len(ledgers) < 2:
        raise DataError(
            f"{folder} holds {len(ledgers)} evaluations with drawn completions, expected two or more: set "
            "eval.problems and eval.samples, and a task"
        )
    most = max(pyarrow.parquet.read_table(path, columns=["group"])["group"].to_pylist()[-1] + 1 for path in ledgers)
    wanted = config.eval.model_copy(update={"problems": max(most, config.eval.problems)})
    problems = {problem.id: problem for problem in first_problems(task_of(config), wanted)}
    evaluations = of_the_same_problems(folder, [read_evaluation(path, problems, grader) for path in ledgers])
    steps = tuple(step for step, _ in evaluations)
    lengths, cut_off = numpy.array([length_and_cut_off(groups) for _, groups in evaluations]).T
    last_rows = [row for group in evaluations[-1][1] for row in group]
    kl_steps, kl = kl_curve(folder, steps[-1], final_kl(folder, config, problems, last_rows))
    first, last = (
        tuple(ScoredCompletion(rows[0]["completion"], rows[0]["score"], rows[0]["reward"]) for rows in groups)
        for _, groups in (evaluations[0], evaluations[-1])
    )
    return ScoredRun(
        name,
        steps,
        scores_EP=problem_means(evaluations, "score"),
        truths_EP=problem_means(evaluations, "reward"),
        lengths_E=lengths,
        cut_off_E=cut_off,
        kl_steps=kl_steps,
        kl=kl,
        prompts=tuple(rows[0]["prompt"] for rows in evaluations[0][1]),
        first=first,
        last=last,
    )


def read_evaluation(
    path: Path, problems: dict[str, Problem], grader: RewardModelGrader
) -> tuple[int, list[list[dict]]]:
    """The step of an evaluation, and the rows of its ledger by problem, each with the reward model's `score`."""
    rows = pyarrow.parquet.read_table(path).to_pylist()
    groups: dict[int, list[dict]] = {}
    floor = lowest(row["reward"] for row in rows)
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    for group in groups.values():
        if group[0]["problem_id"] not in problems:
            raise DataError(f"{path} names the problem {group[0]['problem_id']!r}, which the task does not hold out")
        rollouts = [Rollout([], [], [], [], row["finish"], 0, row["completion"]) for row in group]
        for row, verdict in zip(group, grader(problems[group[0]["problem_id"]], rollouts), strict=True):
            # As in an evaluation, a completion without a reward counts as the lowest one.
            row["score"] = math.nan if verdict.score is None else verdict.score
            row["reward"] = floor if row["reward"] is None else row["reward"]
    return rows[0]["step"], [groups[index] for index in sorted(groups)]


def of_the_same_problems(
    folder: Path, evaluations: list[tuple[int, list[list[dict]]]]
) -> list[tuple[int, list[list[dict]]]]:
    """The evaluations on the problems of the last one: a resume may have changed `eval.problems`. Raises `DataError` if
    there are not two."""
    asked = [[group[0]["problem_id"] for group in groups] for _, groups in evaluations]
    same = [evaluation for evaluation, ids in zip(evaluations, asked, strict=True) if ids == asked[-1]]
    if len(same) < len(evaluations):
        print(f"{folder}: {len(evaluations) - len(same)} evaluations on other problems than the last are left out")
    if len(same) < 2:
        raise DataError(f"{folder}: only the last evaluation is on its problems; expected another one to compare with")
    return same


def problem_means(evaluations: Sequence[tuple[int, list[list[dict]]]], key: str) -> numpy.ndarray:
    """The mean of `key` over the completions of each problem, for each evaluation `(E, P)`."""
    return numpy.array([[numpy.nanmean([row[key] for row in group]) for group in groups] for _, groups in evaluations])


def length_and_cut_off(groups: Sequence[Sequence[dict]]) -> tuple[float, float]:
    """Mean tokens of the completions, and the share of them that was cut off."""
    rows = [row for group in groups for row in group]
    return sum(row["tokens"] for row in rows) / len(rows), sum(row["finish"] == "length" for row in rows) / len(rows)


def kl_curve(folder: Path, last_step: int, end: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The KL in nats per answer by step: 0 at the start, then the logged values, then the estimate at the end."""
    logged = [
        (row["step"], row["kl"] * row["completion/length"])
        for row in read_metrics(folder / "metrics.jsonl")
        if row.get("kl") is not None and row.get("completion/length") is not None and row["step"] < last_step
    ]
    points = [(0.0, 0.0), *((float(step), value) for step, value in logged), (float(last_step), end)]
    steps, values = zip(*points, strict=True)
    return steps, values


def final_kl(folder: Path, config: PolicyRunConfig, problems: dict[str, Problem], rows: Sequence[dict]) -> float:
    """KL(final policy || initial policy) in nats per answer, estimated from completions of the final policy.

    NaN where the initial policy was not kept, or the run has not ended.
    """
    initial = initial_model(folder, config)
    if initial is None or not (folder / "model").is_dir():
        return math.nan
    chat = load_chat(str(folder / "model"), template=template_of(config.model))
    device = pick_device(config.device)
    encoded = []
    for row in rows:
        ids = chat.completion_ids(row["completion"])
        prompt = chat.prompt_ids(problems[row["problem_id"]].prompt)
        encoded.append((prompt, ids if row["finish"] == "stop" else ids[:-1]))
    encoded = [(prompt, ids) for prompt, ids in encoded if ids]
    prompts, answers = zip(*encoded, strict=True)
    batch = token_batch(prompts, answers, [[True] * len(ids) for ids in answers], range(len(answers)))
    totals = []
    final = config.model.model_copy(update={"path": str(folder / "model"), "scratch": None, "lora": None})
    for model in (final, initial):
        policy = load_policy(model, chat, device, config.sampling.temperature, config.seed)
        learner = LocalLearner(policy, config.optimizer, 1)
        totals.append(learner.frozen_logprobs(batch, torch.arange(len(batch))).sum())
    return float(totals[0] - totals[1]) / len(rows)


def initial_model(folder: Path, config: PolicyRunConfig) -> ModelConfig | None:
    """The policy that RL started from: the cold start's result, or `model.path` with the adapters of `model.lora.path`;
    `None` if not kept."""
    if not isinstance(config, RLConfig) or config.cold_start is None:
        lora = config.model.lora
        started = config.model.model_copy(update={"lora": lora if lora is not None and lora.path else None})
        return started if started.path is not None else None
    made = model_of(cold_start_of(folder))
    return config.model.model_copy(update={"path": str(made), "scratch": None, "lora": None}) if made.is_dir() else None
