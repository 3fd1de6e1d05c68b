"""From one advantage per completion to one per token: penalties on tokens, reward-to-go, discount.

    A_t = sum_{k >= t} gamma^(k - t) a_k,    a_k = A at the last token, minus the token's KL penalty

There are two ways to put the KL divergence into the reward; both are values of `kl_in`. `reward` subtracts the penalty
of the whole completion from its reward before the baseline (RLOO, arXiv:2402.14740): every token is charged with all of
it, and the penalties of the group are in the baseline. `token_reward` subtracts it token by token, after the baseline
(REINFORCE++, arXiv:2501.03262): a token is charged with the penalties from itself on.
"""

import torch
from torch import Tensor

from rlvr.algorithms.advantage import whitened
from rlvr.algorithms.kl import kl
from rlvr.algorithms.objective import Objective


def reward_to_go(token_rewards: Tensor, mask: Tensor, discount: float) -> Tensor:
    """sum_{k >= t} discount^(k - t) r_k over the tokens of the mask, `(B, T)`; the others are no time steps."""
    returns = torch.zeros_like(token_rewards)
    to_go = token_rewards.new_zeros(len(token_rewards))
    for t in range(token_rewards.shape[1] - 1, -1, -1):
        to_go = torch.where(mask[:, t], token_rewards[:, t] + discount * to_go, to_go)
        returns[:, t] = to_go
    return returns * mask


def kl_penalty(old_logprobs: Tensor, ref_logprobs: Tensor, mask: Tensor, objective: Objective) -> Tensor:
    """The penalty subtracted from the reward: kl_coef times the KL estimate of each token `(B, T)`, zero outside of the
    mask.

    It is a constant. The ratio of the old policy to itself is 1, so `k3_unbiased` equals `k3` here.
    """
    old = torch.where(mask, old_logprobs, 0.0)
    estimate = kl(old, torch.where(mask, ref_logprobs, 0.0), torch.ones_like(old), objective.kl)
    return (objective.kl_coef * estimate).detach()


def token_advantages(advantages: Tensor, mask: Tensor, objective: Objective, penalty: Tensor | None = None) -> Tensor:
    """The advantage of each token.

    Args: `advantages` (B, T), each row's advantage at its tokens; `penalty` (B, T) from `kl_penalty`, used if
    `kl_in` is `token_reward`.
    Returns: (B, T), zero outside of the mask; the input, if nothing acts on single tokens.
    """
    if not objective.advantage_per_token:
        return advantages * mask
    is_last = mask & (mask.cumsum(-1) == mask.sum(-1, keepdim=True))
    rewards = torch.where(is_last, advantages, 0.0)
    if objective.kl_in == "token_reward" and objective.kl_coef:
        if penalty is None:
            raise ValueError("penalty is missing: expected (B, T) where kl_in is token_reward; see kl_penalty")
        rewards = rewards - penalty
    to_go = reward_to_go(rewards, mask, objective.discount)
    if objective.whiten:
        to_go = torch.zeros_like(to_go).masked_scatter(mask, whitened(to_go[mask]))
    return to_go
