"""Which keys of a run may change when it resumes, and why the others may not.

`RULES` names keys and sections; a key follows the longest entry that it lies under. A section that is fixed names the
keys that may change, so that a new key stays fixed until somebody has thought about it.
"""

from dataclasses import dataclass
from typing import Literal

# speed: memory, speed and what is kept; the numbers stay, but for rounding.
# looking: when and on what the model is measured; training does not notice.
# learning: training goes on differently from the next step on.
# fixed: the steps that were taken would belong to another run.
Kind = Literal["speed", "looking", "learning", "fixed"]


@dataclass(frozen=True)
class Rule:
    """Whether a key may change on resume, and the reason in words that follow "because"."""

    kind: Kind
    why: str

    @property
    def may_change(self) -> bool:
        return self.kind != "fixed"


MEMORY = Rule("speed", "it bounds memory or time and leaves the numbers as they are")
ROUNDING = Rule("speed", "it computes the same with other rounding")
LOOKING = Rule("looking", "training does not depend on it")
ONWARD = Rule("learning", "the next steps follow it, and the steps taken stay what they were")

RULES: dict[str, Rule] = {
    "trainer": Rule("fixed", "another trainer has other state"),
    "out": Rule("speed", "it is where the run lies"),
    "seed": Rule("fixed", "it determines which problems or rows are drawn"),
    "device": ROUNDING,
    "threads": ROUNDING,
    "steps": ONWARD,
    # -- the model
    "model": Rule("fixed", "it is the model that the weights of the checkpoint belong to"),
    "model.path": Rule(
        "fixed", "the run began with the weights it names (if that folder was moved, put a link in its old place)"
    ),
    "model.revision": Rule("speed", "the commit that it names is compared with that of the start"),
    "model.dtype": Rule("fixed", "it is the precision of the trained weights"),
    "model.lora": Rule("fixed", "the checkpoint holds adapters of this shape, or all weights"),
    "model.chat_template": Rule("fixed", "it writes the prompts"),
    "model.chat_template_kwargs": Rule("fixed", "it writes the prompts"),
    "model.merge_system": Rule("fixed", "it writes the prompts"),
    "model.autocast": ROUNDING,
    "model.gradient_checkpointing": MEMORY,
    "model.compile": ROUNDING,
    "model.packing": ROUNDING,
    "model.attention": ROUNDING,
    # -- the optimizer
    "optimizer": Rule("fixed", "the state of the optimizer belongs to it"),
    "optimizer.lr": ONWARD,
    "optimizer.schedule": ONWARD,
    "optimizer.warmup_steps": ONWARD,
    "optimizer.final_lr_share": ONWARD,
    "optimizer.betas": ONWARD,
    "optimizer.weight_decay": ONWARD,
    "optimizer.max_grad_norm": ONWARD,
    "optimizer.microbatch_tokens": ROUNDING,
    # -- looking and keeping
    "eval": LOOKING,
    "checkpoint": Rule("speed", "it is what is kept, and when"),
    "ledger": LOOKING,
    "accept_changed_data": Rule("looking", "it says what is accepted"),
    "no_signal_patience": LOOKING,
    # -- sampling
    "engine": Rule("fixed", "it changes which completions are sampled"),
    "engine.name": Rule("learning", "the next completions are drawn by another engine, from the same policy"),
    "engine.cache_tokens": ROUNDING,
    "engine.gpu_memory_utilization": MEMORY,
    "engine.max_model_len": Rule("learning", "the next problems and completions have another room"),
    "engine.enforce_eager": ROUNDING,
    "engine.logprob_tolerance": MEMORY,
    "sampling": Rule("fixed", "completions that wait, and averages of earlier ones, were drawn with it"),
    "sampling.max_tokens": ONWARD,
    "verify": Rule("fixed", "it changes what is rewarded"),
    "verify.workers": MEMORY,
    "verify.timeout_seconds": Rule("learning", "the next completions are graded with another deadline"),
    "verify.max_failed_share": MEMORY,
    "verify.solved_at": Rule("learning", "the next completions count as solved from this score on"),
    "verify.reward_model": Rule("fixed", "it changes what is rewarded"),
    "verify.reward_model.device": ROUNDING,
    "verify.reward_model.batch_tokens": ROUNDING,
    # -- what is learned from
    "task": Rule("fixed", "it determines which problems are drawn and which are held out"),
    "data": Rule("fixed", "it determines which rows are learned from and which are held out"),
    "selection": Rule("fixed", "it determines which problems are drawn"),
    "prompts_per_step": Rule("fixed", "it determines which problems belong to a step"),
    "rows_per_step": Rule("fixed", "it determines which rows belong to a step"),
    "group_size": Rule("fixed", "groups of another size have other advantages"),
    # -- how it is learned from
    "objective": Rule("fixed", "it is what is being optimized"),
    "epochs": Rule("fixed", "the optimizer steps of a step count for the schedule and for the age of groups"),
    "minibatches": Rule("fixed", "the optimizer steps of a step count for the schedule and for the age of groups"),
    "cold_start": Rule("fixed", "RL began with its result"),
    "critic": Rule("fixed", "the checkpoint holds the weights of this critic"),
    "trust_region": Rule("fixed", "it is how the policy is moved"),
    "gae_lambda": Rule("fixed", "it is part of what is being optimized"),
    "value_coef": Rule("fixed", "it is part of what is being optimized"),
    "value_clip": Rule("fixed", "it is part of what is being optimized"),
    "reward_scale": Rule("fixed", "it changes what the critic has learned to expect"),
    "bootstrap_truncated": Rule("fixed", "it changes what the critic has learned to expect"),
    "loss": Rule("fixed", "it is what is being optimized"),
    "beta": Rule("fixed", "it is part of what is being optimized"),
    "label_smoothing": Rule("fixed", "it is part of what is being optimized"),
    "desirable_weight": Rule("fixed", "it is part of what is being optimized"),
    "undesirable_weight": Rule("fixed", "it is part of what is being optimized"),
    "margin": Rule("fixed", "it is part of what is being optimized"),
    "center_rewards_coef": Rule("fixed", "it is part of what is being optimized"),
}
# Sections that hold the keys of another place.
SAME_AS = {"critic.": "model.", "cold_start.": ""}


def rule_of(key: str) -> Rule:
    """The rule of a dotted key: that of the longest entry that it lies under.

    A key of the critic follows the same key of the model, a key of the cold start the same key of a run: the cold start
    is one. A key that this version does not know stays fixed.
    """
    for section, place in SAME_AS.items():
        if key.startswith(section):
            same = rule_of(place + key.removeprefix(section))
            return same if same.may_change else rule_of(section.removesuffix("."))
    parts = key.split(".")
    entries = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((RULES[entry] for entry in entries if entry in RULES), Rule("fixed", "this version does not know it"))
