"""From a configuration to the parts of a run: the only file that knows every concrete class.

`rlvr train`, `rlvr eval` and `rlvr pairs` all assemble their parts here.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch

from rlvr.config import (
    DPOConfig,
    ModelConfig,
    PolicyRunConfig,
    PPOConfig,
    RewardModelConfig,
    RLConfig,
    RunConfig,
    SamplingConfig,
    SFTConfig,
)
from rlvr.data.examples import Examples, Part, readable, reader_of, split_rows, texts_of, tokenized
from rlvr.engines.base import Generator
from rlvr.engines.scripted import ScriptedEngine, load_script
from rlvr.errors import ConfigError, DataError
from rlvr.learners.local import LocalLearner, load_weights
from rlvr.learners.optimizer import loss_scale_of
from rlvr.models.chat import Chat
from rlvr.models.heads import RewardModel, ValueHead, load_reward_model
from rlvr.models.load import commit_of, load_chat, load_policy, scratch_chat
from rlvr.models.policy import Critic, Policy
from rlvr.models.templates import Template
from rlvr.models.vocabulary import unknown_tokens
from rlvr.preflight import (
    check,
    check_parts,
    check_sampling,
    check_sets,
    first_problems,
    pick_device,
    problems_of,
)
from rlvr.rollouts.evaluate import EvalSet
from rlvr.rollouts.fitting import FittingTask, room_for_answers
from rlvr.rollouts.grader import Grader, make_grader
from rlvr.rollouts.play import Player
from rlvr.rollouts.reward_model_grader import load_reward_model_grader
from rlvr.rollouts.rollouts import Rollouts
from rlvr.rollouts.source import AheadSource, Draws, FreshSource, GroupSource
from rlvr.run import Run
from rlvr.runfolder.base_model import note_base_model
from rlvr.runfolder.claim import claim_folder
from rlvr.runfolder.inputs import check_inputs, inputs_of, keep_inputs
from rlvr.seeds import derive, set_global_generators
from rlvr.types import Sampling
from rlvr.weight_sync import PROOF_TOKENS, Probe, prove_sync
from tasks import Problem, Task, make_task
from tasks.registry import notes_of
from verifiers.values import as_text

# Number of problems or rows on which a new tokenizer is trained.
TOKENIZER_PROBLEMS = 1000
# Number of prompts that probe a copy of the weights.
PROBE_PROMPTS = 4


def prepare(config: RunConfig) -> Path:
    """Run all checks that need no model, then claim the run folder. Raises what `preflight.check` raises."""
    check(config)
    folder = Path(config.out)
    inputs = inputs_of(config)
    changed = check_inputs(folder, inputs, config.accept_changed_data, config.is_bound_to_its_data)
    claim_folder(config)
    keep_inputs(folder, inputs, changed)
    return folder


def open_rl_run(config: RLConfig, start: Callable[[RLConfig], ModelConfig]) -> tuple[Run, Rollouts]:
    """A run that samples what it learns from. `start` returns the initial model once the folder is claimed:
    `config.model`, or the result of its cold start."""
    folder, model = prepare(config), start(config)
    device, task = set_up(config), task_of(config)
    chat = chat_for_problems(model, task)
    say_notes(task)
    fitting = fitting_of(config, task, chat)
    held_out = evaluated_on(config, task, chat, trains=True) if config.eval.happens else []
    sets = sets_of(config, chat) if config.eval.happens else []
    set_global_generators(config.seed, "build")
    policy = load_policy(model, chat, device, config.scoring_temperature, config.seed)
    note_base_model(folder, model.path, commit_of(model))
    if isinstance(config, PPOConfig):
        policy.critic = critic_of(config, policy, chat, device)
    learner = learner_of(config, policy, chat, reference_of(config, model, chat, device))
    rollouts = rollouts_of(config, policy, chat, fitting, held_out, sets)
    grader = grader_of(config, device)
    draws = Draws(fitting, config.selection, rollouts.player, grader, config.group_size, rollouts.sampling, config.seed)
    rollouts.source = source_of(config, draws)
    prove(learner, rollouts)
    return Run(config, folder, learner, rollouts), rollouts


def open_data_run(config: SFTConfig | DPOConfig | RewardModelConfig) -> tuple[Run, Chat, Examples | None]:
    """A run that learns from rows of data or from worked solutions, evaluated on a task if it names one.

    The rows are read once, and tokenized before the weights are loaded; `None` for a run on worked solutions.
    """
    folder, device = prepare(config), set_up(config)
    chat, examples = chat_and_examples(config)
    set_global_generators(config.seed, "build")
    if isinstance(config, RewardModelConfig):
        model = load_reward_model(config.model, chat, device, config.seed)
        note_base_model(folder, config.model.path, commit_of(config.model))
        scale = loss_scale_of(config.model)
        scorer = LocalLearner(
            model, config.optimizer, config.optimizer_steps, tokenizer=chat.tokenizer, loss_scale=scale
        )
        return Run(config, folder, scorer), chat, examples
    sets = sets_of(config, chat) if config.eval.happens else []
    if config.problems is None and not sets:
        policy = load_policy(config.model, chat, device, config.scoring_temperature, config.seed)
        note_base_model(folder, config.model.path, commit_of(config.model))
        return Run(config, folder, learner_of(config, policy, chat)), chat, examples
    task, trains = task_of(config) if config.problems is not None else None, config.rows is None
    if task is not None and trains:
        say_notes(task)
    held_out = evaluated_on(config, task, chat, trains) if config.eval.happens and task is not None else []
    policy = load_policy(config.model, chat, device, config.scoring_temperature, config.seed)
    note_base_model(folder, config.model.path, commit_of(config.model))
    learner = learner_of(config, policy, chat)
    rollouts = rollouts_of(config, policy, chat, task, held_out, sets)
    prove(learner, rollouts)
    return Run(config, folder, learner, rollouts), chat, examples


def open_rollouts(config: RunConfig, evaluates: bool, checkpoint: Path | None = None) -> tuple[Rollouts, Grader]:
    """The parts of a command that samples without training: the policy in `config.model` and its grader.

    With `evaluates` the held-out problems are among them. With `checkpoint` the policy has its weights, and
    `config.model` is what its run started from. Raises `ConfigError` if the recipe names no task or no
    trained model, or evaluates nothing.
    """
    if not isinstance(config, PolicyRunConfig) or (config.problems is None and not (evaluates and config.eval.sets)):
        purpose = "evaluate on" if evaluates else "sample"
        raise ConfigError(f"this recipe has no problems to {purpose}; name a task under task:")
    if config.model.path is None and checkpoint is None:
        raise ConfigError("model.scratch is not trained; name a model, such as model.path=runs/quickstart/model")
    if evaluates and not (config.eval.problems or config.eval.sets):
        raise ConfigError("eval.problems is 0; expected the number of held-out problems to evaluate on")
    check_parts(config)
    check_sets(config)
    device, chat = set_up(config), chat_of(config)
    fitting, held_out = None, []
    if config.problems is not None:
        check_sampling(config, config.problems, trains=not evaluates)
        task = task_of(config)
        fitting = FittingTask(task, room_for_answers(player_chat(config, chat), config.sampling.max_tokens))
        held_out = evaluated_on(config, task, chat, trains=False) if evaluates else []
    if evaluates and config.problems is not None and config.eval.problems and not held_out:
        raise ConfigError(f"the task {config.problems.name!r} holds out no problems; expected some to evaluate on")
    sets = sets_of(config, chat) if evaluates else []
    policy = load_policy(config.model, chat, device, config.sampling.temperature, config.seed)
    if checkpoint is not None:
        load_weights(policy, checkpoint)
    return rollouts_of(config, policy, chat, fitting, held_out, sets, evaluates), grader_of(config, device)


def fitting_of(config: PolicyRunConfig, task: Task, chat: Chat) -> FittingTask:
    """The task without problems whose prompts leave no room for an answer; prints what is left out."""
    fitting = FittingTask(task, room_for_answers(player_chat(config, chat), config.sampling.max_tokens))
    if left_out := fitting.look_through():
        print(f"{config.trainer}: {left_out}", flush=True)
    return fitting


def player_chat(config: PolicyRunConfig, chat: Chat) -> Chat:
    """The chat with the context that the engine computes, which may be shorter than the model's."""
    limit = config.engine.max_model_len if config.engine.name == "vllm" else None
    return chat if limit is None else replace(chat, context=min(limit, chat.context))


def restored(
    config: RunConfig, start: ModelConfig, checkpoint: Path, device: torch.device
) -> tuple[Policy | RewardModel, Chat]:
    """The policy or reward model of a run that started from `start`, with the weights of one of its checkpoints."""
    if isinstance(config, SFTConfig | DPOConfig | RewardModelConfig) and start.scratch is not None:
        chat = chat_for_rows(config)
    else:
        chat = load_model_chat(start, needs_template=False)
    model: Policy | RewardModel
    if isinstance(config, RewardModelConfig):
        model = load_reward_model(start, chat, device, config.seed)
    else:
        model = load_policy(start, chat, device, config.scoring_temperature, config.seed)
    load_weights(model, checkpoint)
    return model, chat


def evaluated_on(config: PolicyRunConfig, task: Task, chat: Chat, trains: bool) -> list[Problem]:
    """The held-out problems; prints how many leave no room for an answer. Raises `DataError` if all of them do."""
    held_out = first_problems(task, config.eval, trains)
    say_unfit(config, chat, held_out, "held-out problems")
    return held_out


def sets_of(config: PolicyRunConfig, chat: Chat) -> list[EvalSet]:
    """The named evaluation sets; prints how many of their problems leave no room for an answer."""
    sets = []
    for name, one in config.eval.sets.items():
        problems = problems_of(name, one, config.seed)
        say_unfit(config, chat, problems, f"problems of {name}")
        samples = config.eval.samples if one.samples is None else one.samples
        verifier = one.verifier or config.eval.verifier
        solved_at = one.solved_at if one.verifier or one.solved_at is not None else config.eval.solved_at
        judging = config.verify.model_copy(update={"verifier": verifier, "solved_at": solved_at})
        sets.append(EvalSet(name, problems, samples, make_grader(judging)))
    return sets


def say_unfit(config: PolicyRunConfig, chat: Chat, held_out: Sequence[Problem], what: str) -> None:
    """Print how many problems leave no room for an answer. Raises `DataError` if all of them do."""
    chat = player_chat(config, chat)
    why_not = room_for_answers(chat, config.eval_sampling.max_tokens)
    unfit = [problem for problem in held_out if why_not(problem) is not None]
    if unfit and len(unfit) == len(held_out):
        chat.problem_ids(unfit[0], config.eval_sampling.max_tokens)
    if unfit:
        first = f"problem {unfit[0].id!r} of {unfit[0].source!r}, {why_not(unfit[0])}"
        count = f"{len(unfit)} of {len(held_out)} {what}"
        print(f"{config.trainer}: {count} do not fit and count as unsolved; the first: {first}", flush=True)


def say_notes(task: Task) -> None:
    """Print what a person should know about the rows that a run trains on. Raises `DataError` for a bad row."""
    try:
        for note in notes_of(task):
            print(f"task: {note}", flush=True)
    except ValueError as error:
        raise DataError(str(error)) from error


def rollouts_of(
    config: PolicyRunConfig,
    policy: Policy,
    chat: Chat,
    task: Task | None,
    held_out: Sequence[Problem],
    sets: Sequence[EvalSet] = (),
    evaluates: bool = False,
) -> Rollouts:
    """The generator of `policy`, with the problems and the graders of its evaluations."""
    check_stop_tokens(config, policy.model.config.get_text_config().vocab_size)
    generator = generator_of(config, policy, chat)
    probes: list[list[int]] = []
    if not generator.shares_weights:
        evaluated = held_out or [problem for one in sets for problem in one.problems]
        trains = (config.rows is None and not evaluates) or not evaluated
        if task is not None and trains:
            probed = [task.problem(number) for number in range(PROBE_PROMPTS)]
        else:
            probed = list(evaluated[:PROBE_PROMPTS])
        probes = [chat.problem_ids(problem, PROOF_TOKENS) for problem in probed]
    return Rollouts(
        player=Player(generator, player_chat(config, chat)),
        task=task,
        held_out=held_out,
        sampling=sampling_of(config.sampling),
        eval_sampling=sampling_of(config.eval_sampling),
        judge=judge_of(config),
        sets=sets,
        evaluation=config.eval,
        max_failed_share=config.verify.max_failed_share,
        probe=Probe(probes, policy.temperature, config.logprob_tolerance),
    )


def check_stop_tokens(config: PolicyRunConfig, vocabulary: int) -> None:
    """Raise `ConfigError` for a stop token that the model can never write."""
    for key, sampling in {"sampling": config.sampling, "eval.sampling": config.eval_sampling}.items():
        beyond = [token for token in sampling.stop_token_ids if token >= vocabulary]
        if beyond:
            raise ConfigError(
                f"{key}.stop_token_ids: got {beyond}, but the model's vocabulary has {vocabulary} tokens; expected ids "
                "below that, or the text of the token in stop"
            )


def sampling_of(config: SamplingConfig) -> Sampling:
    return Sampling(
        max_tokens=config.max_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=config.top_k,
        min_p=config.min_p,
        min_tokens=config.min_tokens,
        repetition_penalty=config.repetition_penalty,
        stop=config.stop,
        stop_token_ids=config.stop_token_ids,
    )


def learner_of(
    config: PolicyRunConfig, policy: Policy, chat: Chat, reference: Policy | None = None
) -> LocalLearner[Policy]:
    scale = loss_scale_of(config.model)
    return LocalLearner(policy, config.optimizer, config.optimizer_steps, reference, chat.tokenizer, loss_scale=scale)


def source_of(config: RLConfig, draws: Draws) -> GroupSource:
    """A source that samples groups when they are needed, or one that samples steps ahead."""
    return AheadSource(draws, config.steps_ahead, config.steps) if config.steps_ahead else FreshSource(draws)


def prove(learner: LocalLearner[Policy], rollouts: Rollouts) -> None:
    """Check that a generator with its own copy of the weights accepts new ones. Raises `WeightSyncError`."""
    generator = rollouts.player.generator
    if not generator.shares_weights:
        prove_sync(learner, generator, rollouts.probe)


def grader_of(config: PolicyRunConfig, device: torch.device) -> Grader:
    """The grader of rewards."""
    learned = config.verify.reward_model
    return make_grader(config.verify, None if learned is None else load_reward_model_grader(learned, device))


def judge_of(config: PolicyRunConfig) -> Grader:
    """The grader of evaluations: with a learned reward, the verifier that each problem names."""
    learned = config.verify.reward_model is not None
    name = config.eval.verifier or (None if learned else config.verify.verifier)
    solved_at = config.eval.solved_at
    if solved_at is None and not config.eval.verifier and not learned:
        solved_at = config.verify.solved_at
    return make_grader(config.verify.model_copy(update={"verifier": name, "solved_at": solved_at}))


def set_up(config: RunConfig) -> torch.device:
    """Set the number of threads and return the device to compute on."""
    if config.threads:
        torch.set_num_threads(config.threads)
    return pick_device(config.device)


def task_of(config: PolicyRunConfig) -> Task:
    """The task that a configuration names."""
    assert config.problems is not None
    return make_task(config.problems.name, config.problems.knobs, config.seed)


def load_model_chat(model: ModelConfig, needs_template: bool = True) -> Chat:
    return load_chat(
        str(model.path),
        model.chat_template,
        template_of(model),
        needs_template,
        trust_remote_code=model.trust_remote_code,
        revision=model.revision,
    )


def chat_for_problems(model: ModelConfig, task: Task) -> Chat:
    if model.scratch is None:
        return load_model_chat(model)
    problems = [task.problem(number) for number in range(TOKENIZER_PROBLEMS)]
    texts = [
        text
        for problem in problems
        for text in (*(message["content"] for message in problem.prompt), problem.solution or as_text(problem.answer))
    ]
    return scratch_chat(model.scratch, texts, model.chat_template, template_of(model))


def template_of(model: ModelConfig) -> Template:
    return Template(model.chat_template_kwargs, model.merge_system)


def chat_of(config: PolicyRunConfig) -> Chat:
    """The tokenizer of a policy, for a command that samples from it."""
    if isinstance(config, SFTConfig | DPOConfig) and config.model.scratch is not None:
        return chat_for_rows(config)
    return (
        load_model_chat(config.model) if config.problems is None else chat_for_problems(config.model, task_of(config))
    )


def chat_for_rows(config: SFTConfig | DPOConfig | RewardModelConfig, parts: tuple[Part, Part] | None = None) -> Chat:
    """The tokenizer of a run on data; `parts` are its rows, where they are already read.

    For `model.scratch` it is trained on the first rows, or else on the task. Rows of plain text need no chat template.
    """
    model = config.model
    if config.data is None:
        assert isinstance(config, SFTConfig)
        return chat_for_problems(model, task_of(config))
    train, _ = parts or split_rows(config.data, reader_of(config))
    first = (row for row, _ in readable(train, config.data.skip_broken))
    if model.scratch is None:
        return load_model_chat(model, any(not isinstance(row.prompt, str) for row in islice(first, 1)))
    texts = [text for row in islice(first, TOKENIZER_PROBLEMS) for text in texts_of(row)]
    return scratch_chat(model.scratch, texts, model.chat_template, template_of(model))


def chat_and_examples(config: SFTConfig | DPOConfig | RewardModelConfig) -> tuple[Chat, Examples | None]:
    """The tokenizer of a run on data and its rows in tokens; what was read and what was left out is printed."""
    if config.data is None:
        return chat_for_rows(config), None
    parts = split_rows(config.data, reader_of(config))
    chat = chat_for_rows(config, parts)
    examples = tokenized(config.data, parts, chat)
    for line in (str(examples), examples.read_as):
        print(f"{config.trainer}: {line}", flush=True)
    return chat, examples


def reference_of(config: RLConfig, model: ModelConfig, chat: Chat, device: torch.device) -> Policy | None:
    """A frozen copy of the initial model if the KL term needs one; with adapters the model itself serves."""
    if not config.needs_reference or model.lora:
        return None
    reference = load_policy(model, chat, device, config.scoring_temperature, config.seed)
    reference.model.requires_grad_(False)
    return reference


def critic_of(config: PPOConfig, policy: Policy, chat: Chat, device: torch.device) -> Critic:
    """A separate model if one is configured, else a second head on the policy's backbone."""
    if config.critic is None:
        return ValueHead(policy.model.config.get_text_config().hidden_size, device)
    critic = load_reward_model(config.critic, chat, device, config.seed)
    sizes = [model.config.get_text_config().vocab_size for model in (critic.model, policy.model)]
    if sizes[0] != sizes[1]:
        raise ConfigError(
            f"critic: its vocabulary has {sizes[0]} tokens and the policy's has {sizes[1]}; expected the same tokenizer"
        )
    return critic


def generator_of(config: PolicyRunConfig, policy: Policy, chat: Chat) -> Generator:
    engine = config.engine
    if engine.name == "vllm":
        from rlvr.engines.vllm_engine import VLLMEngine

        folder = Path(config.out) / "engine"
        folder.mkdir(parents=True, exist_ok=True)
        policy.save(folder, chat.tokenizer)
        return VLLMEngine(
            folder,
            chat.end_ids,
            derive(config.seed, "vllm"),
            config.model.dtype if config.model.autocast == "none" else config.model.autocast,
            engine.max_model_len or chat.context,
            engine.gpu_memory_utilization,
            engine.enforce_eager,
            unknown_tokens(chat.tokenizer, policy.model.config.get_text_config().vocab_size),
            config.model.trust_remote_code,
        )
    if engine.name == "scripted":
        return ScriptedEngine(load_script(engine.script), chat)
    from rlvr.engines.transformers_engine import TransformersEngine, check_decoding

    check_decoding(policy.model)
    return TransformersEngine(policy.model, chat.end_ids, engine.cache_tokens, chat.tokenizer)
