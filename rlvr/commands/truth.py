"""`rlvr truth`: the evaluations of finished runs, scored by a reward model too, as one page.

A run's ledger of an evaluation holds its drawn completions and what the task's own verifier says of them. The reward
model is asked for its score of the same ones. The KL is what the run logged, where it logged it; at the end it is the
mean over the last evaluation's completions of log pi - log pi_initial, for which both models are loaded.
"""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy
import pyarrow.parquet
import torch

from rlvr.batching import token_batch
from rlvr.build import task_of
from rlvr.config import LearnedRewardConfig, PolicyRunConfig, RLConfig
from rlvr.config.file import load_config
from rlvr.errors import DataError
from rlvr.learners.local import LocalLearner
from rlvr.models.load import load_chat, load_policy
from rlvr.preflight import first_problems, pick_device
from rlvr.report.pictures import save_charts
from rlvr.report.truth_page import JudgedRun, Said, charts, headline, render
from rlvr.rollouts.reward_model_grader import RewardModelGrader, load_reward_model_grader
from rlvr.runfolder.claim import cold_start_of, model_of
from rlvr.runfolder.files import whole_file
from rlvr.runfolder.metrics import read_metrics
from rlvr.types import Rollout
from tasks import Problem


def write_page(folders: Sequence[Path], out: Path, reward_model: str | None, command: str, png: bool = False) -> None:
    """Judge the runs in `folders` and write the page. Prints what it says first.

    Without `reward_model` it is the one that the first run with a learned reward was trained against. Raises
    `DataError` where a folder holds no evaluations with drawn completions.
    """
    configs = [config_of(folder) for folder in folders]
    path = reward_model or next((c.verify.reward_model.path for c in configs if c.verify.reward_model), None)
    if path is None:
        raise DataError("none of these runs was trained against a reward model; name one with --reward-model PATH")
    # What a completion says is scored, cut off or not: how many are is told beside it.
    grade = load_reward_model_grader(LearnedRewardConfig(path=path, cut_off_penalty=0), pick_device(configs[0].device))
    names = [folder.name for folder in folders]
    names = names if len(set(names)) == len(names) else [str(folder) for folder in folders]
    runs = [judge(*one, grade) for one in zip(names, folders, configs, strict=True)]
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
        raise DataError(f"{folder} is no run folder: it has no config.yaml. Expected what rlvr train wrote")
    config = load_config(folder / "config.yaml")
    if not isinstance(config, PolicyRunConfig):
        raise DataError(f"{folder} holds a run of trainer: {config.trainer}; expected one that trained a policy")
    return config


def judge(name: str, folder: Path, config: PolicyRunConfig, grade: RewardModelGrader) -> JudgedRun:
    """A run's evaluations with scores and truths. Raises `DataError` where there are fewer than two."""
    ledgers = sorted(folder.glob("evaluations/step-*-drawn.parquet"))
    if len(ledgers) < 2:
        raise DataError(
            f"{folder} holds {len(ledgers)} evaluations with drawn completions, expected two or more: set "
            "eval.problems and eval.samples, and a task"
        )
    problems = {problem.id: problem for problem in first_problems(task_of(config), config.eval)}
    told = [evaluation(path, problems, grade) for path in ledgers]
    steps = tuple(step for step, _ in told)
    lengths, cut_off = numpy.array([shares(rows) for _, rows in told]).T
    last = [row for rows in told[-1][1] for row in rows]
    kl_steps, kl = kl_curve(folder, steps[-1], final_kl(folder, config, problems, last))
    first_said, last_said = (
        tuple(Said(rows[0]["completion"], rows[0]["score"], rows[0]["reward"]) for rows in told[place][1])
        for place in (0, -1)
    )
    return JudgedRun(
        name,
        steps,
        scores_EP=means(told, "score"),
        truths_EP=means(told, "reward"),
        lengths_E=lengths,
        cut_off_E=cut_off,
        kl_steps=kl_steps,
        kl=kl,
        prompts=tuple(rows[0]["prompt"] for rows in told[0][1]),
        first=first_said,
        last=last_said,
    )


def evaluation(path: Path, problems: dict[str, Problem], grade: RewardModelGrader) -> tuple[int, list[list[dict]]]:
    """The step of an evaluation, and the rows of its ledger by problem, each with the reward model's `score`."""
    rows = pyarrow.parquet.read_table(path).to_pylist()
    groups: dict[int, list[dict]] = {}
    for row in rows:
        groups.setdefault(row["group"], []).append(row)
    for group in groups.values():
        if group[0]["problem_id"] not in problems:
            raise DataError(f"{path} speaks of problem {group[0]['problem_id']!r}, which the task does not hold out")
        said = [Rollout([], [], [], [], row["finish"], 0, row["completion"]) for row in group]
        for row, verdict in zip(group, grade(problems[group[0]["problem_id"]], said), strict=True):
            # As in an evaluation: what cannot be judged is worth nothing. The reward model may give any number.
            row["score"] = math.nan if verdict.score is None else verdict.score
            row["reward"] = row["reward"] or 0.0
    return rows[0]["step"], [groups[index] for index in sorted(groups)]


def means(told: Sequence[tuple[int, list[list[dict]]]], key: str) -> numpy.ndarray:
    """Of each evaluation and problem, the mean over its completions `(E, P)`."""
    return numpy.array([[numpy.nanmean([row[key] for row in group]) for group in groups] for _, groups in told])


def shares(groups: Sequence[Sequence[dict]]) -> tuple[float, float]:
    """Mean tokens of completions, and the share that was cut off."""
    rows = [row for group in groups for row in group]
    return sum(row["tokens"] for row in rows) / len(rows), sum(row["finish"] == "length" for row in rows) / len(rows)


def kl_curve(folder: Path, last_step: int, end: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The KL in nats an answer by step: 0 at the start, what the steps logged, and the end's own estimate."""
    logged = [
        (row["step"], row["kl"] * row["completion/length"])
        for row in read_metrics(folder / "metrics.jsonl")
        if row.get("kl") is not None and row.get("completion/length") is not None and row["step"] < last_step
    ]
    points = [(0.0, 0.0), *((float(step), value) for step, value in logged), (float(last_step), end)]
    steps, values = zip(*points, strict=True)
    return steps, values


def final_kl(folder: Path, config: PolicyRunConfig, problems: dict[str, Problem], rows: Sequence[dict]) -> float:
    """KL(final policy || initial policy) in nats an answer, of completions that the final policy drew.

    Not a number where the initial policy is kept nowhere, or the run has not ended.
    """
    initial = initial_model(folder, config)
    if initial is None or not (folder / "model").is_dir():
        return math.nan
    chat, device = load_chat(str(folder / "model")), pick_device(config.device)
    encoded = []
    for row in rows:
        ids = chat.completion_ids(row["completion"])
        prompt = chat.prompt_ids(problems[row["problem_id"]].prompt)
        encoded.append((prompt, ids if row["finish"] == "stop" else ids[:-1]))
    encoded = [(prompt, ids) for prompt, ids in encoded if ids]
    prompts, answers = zip(*encoded, strict=True)
    batch = token_batch(prompts, answers, [[True] * len(ids) for ids in answers], range(len(answers)))
    totals = []
    for path in (str(folder / "model"), initial):
        model = config.model.model_copy(update={"path": path, "scratch": None, "lora": None})
        policy = load_policy(model, chat, device, config.sampling.temperature, config.seed)
        learner = LocalLearner(policy, config.optimizer, 1)
        totals.append(learner.frozen_logprobs(batch, torch.arange(len(batch))).sum())
    return float(totals[0] - totals[1]) / len(rows)


def initial_model(folder: Path, config: PolicyRunConfig) -> str | None:
    """Where the policy lies that the steps began with: what the cold start made, or `model.path`; `None` if nowhere."""
    if not isinstance(config, RLConfig) or config.cold_start is None:
        return config.model.path
    made = model_of(cold_start_of(folder))
    return str(made) if made.is_dir() else None
