"""The embedded engine: samples from any `transformers` model in the trainer's own process, without server or copy.

Unlike `model.generate`, it computes a prompt once and shares its keys and values among the completions of the group,
removes ended rows from the batch, writes keys and values into buffers in place, and keeps the log-probabilities of the
sampled tokens. The weights are the policy's own, so a weight sync only sets the version.

Left out: paged memory, continuous batching over calls, speculative decoding. Use vLLM for models with billions of
parameters.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase
from transformers.cache_utils import Cache, DynamicLayer

from rlvr.engines.base import Request, WeightUpdate, complete
from rlvr.engines.sampling import LogitRules, draw, draw_uniforms, tokens_seen
from rlvr.engines.stop_strings import StopStrings, decoder_of
from rlvr.errors import ConfigError, ModelError
from rlvr.models.decoder import hidden_states, scores
from rlvr.types import Completion, Sampling

# Ended rows are removed once less than this share of the batch is still running: moving the keys and values of the
# others costs about as much as a few decoding steps.
COMPACT_BELOW = 0.75
# Tokens of each completion in the check of a model.
CHECKED_TOKENS = 4


class TransformersEngine:
    """Samples from `model` in place.

    `end_ids` are the tokens that end a completion. `cache_tokens` bounds rows x (prompt + `max_tokens`) of a batch, and
    thereby the memory for keys and values. `tokenizer` decodes completions if there are stop strings to look for.
    """

    shares_weights = True  # the model is the policy itself

    def __init__(
        self,
        model: PreTrainedModel,
        end_ids: Sequence[int],
        cache_tokens: int = 131_072,
        tokenizer: PreTrainedTokenizerBase | None = None,
    ) -> None:
        self.model = model
        self.end_ids = list(end_ids)
        self.cache_tokens = cache_tokens
        self.tokenizer = tokenizer
        self.version = 0
        self.waiting: list[Request] = []

    def submit(self, request: Request) -> None:
        if request.sampling.stop and self.tokenizer is None:
            raise ConfigError("sampling.stop: this engine has no tokenizer to decode completions with; expected one")
        self.waiting.append(request)

    def open(self) -> int:
        return len(self.waiting)

    def abort(self) -> None:
        self.waiting.clear()

    def close(self) -> None:
        self.abort()

    def load(self, update: WeightUpdate) -> None:
        self.version = update.version

    @torch.no_grad()
    def ready(self, timeout_seconds: float | None = None) -> list[tuple[int, list[Completion]]]:
        """Compute one batch of the waiting requests."""
        if not self.waiting:
            return []
        batch = self._next_batch()
        numbers = {request.number for request in batch}
        self.waiting = [request for request in self.waiting if request.number not in numbers]
        was_training = self.model.training
        self.model.eval()
        try:
            groups = self._sample(
                [request.prompt_ids for request in batch],
                batch[0].n,
                batch[0].sampling,
                [request.seed for request in batch],
            )
        finally:
            self.model.train(was_training)
        return [(request.number, group) for request, group in zip(batch, groups, strict=True)]

    def _next_batch(self) -> list[Request]:
        """Requests with equal sampling settings, shortest prompt first, as many as the cache can hold."""
        first = self.waiting[0]
        alike = [request for request in self.waiting if (request.n, request.sampling) == (first.n, first.sampling)]
        batch: list[Request] = []
        for request in sorted(alike, key=lambda request: len(request.prompt_ids)):
            length = len(request.prompt_ids) + first.sampling.max_tokens
            if batch and (len(batch) + 1) * first.n * length > self.cache_tokens:
                break
            batch.append(request)
        return batch

    def _sample(
        self, prompts: list[Sequence[int]], n: int, sampling: Sampling, seeds: list[int]
    ) -> list[list[Completion]]:
        device, rows = self.model.device, len(prompts) * n
        width = max(len(prompt) for prompt in prompts)
        ids = torch.zeros(len(prompts), width, dtype=torch.long, device=device)
        mask = torch.zeros(len(prompts), width + sampling.max_tokens, dtype=torch.bool, device=device)
        for row, prompt in enumerate(prompts):  # padded on the left: the next token of all rows is in the same column
            ids[row, width - len(prompt) :] = torch.tensor(prompt, device=device)
            mask[row, width - len(prompt) : width] = True
        mask[:, width:] = True

        cache = in_place_cache(self.model, width + sampling.max_tokens)
        positions = (mask[:, :width].cumsum(-1) - 1).clamp(min=0)
        hidden = hidden_states(
            self.model, input_ids=ids, attention_mask=mask[:, :width], position_ids=positions, past_key_values=cache
        )
        logits = scores(self.model, hidden[:, -1]).repeat_interleave(n, 0)
        end_ids = torch.tensor([*self.end_ids, *sampling.stop_token_ids], dtype=torch.long, device=device)
        seen = None
        if sampling.repetition_penalty != 1:
            seen = tokens_seen(ids, mask[:, :width], logits.shape[-1]).repeat_interleave(n, 0)
        rules = LogitRules(sampling, end_ids, seen)
        watches = self._watches(prompts, n, sampling)
        cache.reorder_cache(torch.arange(len(prompts), device=device).repeat_interleave(n))
        mask = mask.repeat_interleave(n, 0)
        next_position = (positions[:, -1] + 1).repeat_interleave(n, 0)

        uniforms = torch.cat([draw_uniforms(seed, n, sampling.max_tokens) for seed in seeds]).to(device)
        tokens_out = torch.zeros(rows, sampling.max_tokens, dtype=torch.long, device=device)
        logprobs_out = torch.zeros(rows, sampling.max_tokens, device=device)
        lengths = torch.full((rows,), sampling.max_tokens, device=device)
        alive = torch.arange(rows, device=device)  # the rollout of each row of the batch
        ended = torch.zeros(rows, dtype=torch.bool, device=device)
        stopped = torch.zeros(rows, dtype=torch.bool, device=device)

        for step in range(sampling.max_tokens):
            tokens, logprobs = draw(rules.apply(logits, step, alive), uniforms[alive, step], sampling)
            rules.add(alive, tokens)
            tokens_out[alive, step] = tokens
            logprobs_out[alive, step] = logprobs
            just_ended = torch.isin(tokens, end_ids) & ~ended
            if watches:
                just_ended |= completed(watches, alive, tokens, ended | just_ended)
            lengths[alive[just_ended]] = step + 1
            stopped[alive[just_ended]] = True
            ended |= just_ended
            running = int((~ended).sum())
            if running == 0 or step + 1 == sampling.max_tokens:
                break
            if running < COMPACT_BELOW * len(alive):
                keep = (~ended).nonzero().squeeze(-1)
                cache.reorder_cache(keep)
                alive, tokens, mask, next_position = alive[keep], tokens[keep], mask[keep], next_position[keep]
                ended = ended[keep]
            hidden = hidden_states(
                self.model,
                input_ids=tokens.unsqueeze(-1),
                attention_mask=mask[:, : width + step + 1],
                position_ids=next_position.unsqueeze(-1),
                past_key_values=cache,
            )
            logits = scores(self.model, hidden[:, -1])
            next_position = next_position + 1

        ends = zip(tokens_out.tolist(), logprobs_out.tolist(), lengths.tolist(), stopped.tolist(), strict=True)
        completions = [
            Completion(ids[:length], logprobs[:length], "stop" if has_stopped else "length", (self.version,))
            for ids, logprobs, length, has_stopped in ends
        ]
        return [completions[start : start + n] for start in range(0, rows, n)]

    def _watches(self, prompts: list[Sequence[int]], n: int, sampling: Sampling) -> list[StopStrings]:
        """What looks for stop strings in each rollout; empty if there are none."""
        if not sampling.stop or self.tokenizer is None:
            return []
        decode = decoder_of(self.tokenizer)
        return [StopStrings(decode, prompt, sampling.stop, sampling.min_tokens) for prompt in prompts for _ in range(n)]


@torch.no_grad()
def check_decoding(model: PreTrainedModel) -> None:
    """Refuse a model that computes something else with a cache and with padding than without: its log-probabilities
    would not be those of the learner. Raises `ModelError`."""
    engine = TransformersEngine(model, [-1])
    requests = [Request(length, range(1, 1 + length), 2, Sampling(CHECKED_TOKENS, 1.0), seed=0) for length in (2, 5)]
    gaps = []
    was_training = model.training
    for request, group in zip(requests, complete(engine, requests), strict=True):
        ids = torch.tensor([[*request.prompt_ids, *completion.ids] for completion in group], device=model.device)
        model.eval()
        logprobs = scores(model, hidden_states(model, input_ids=ids, use_cache=False)).log_softmax(-1)
        expected = logprobs[:, :-1].gather(-1, ids[:, 1:, None])[:, -CHECKED_TOKENS:, 0].cpu()
        gaps.append((torch.tensor([completion.logprobs for completion in group]) - expected).abs().mean())
    model.train(was_training)
    gap, expected_gap = float(torch.stack(gaps).mean()), 1e-3 if model.dtype == torch.float32 else 0.1
    if not gap <= expected_gap:  # nan is no agreement
        raise ModelError(
            f"{type(model).__name__} computes something else in the embedded engine, with a cache and with prompts "
            f"padded on the left, than in the learner: log-probabilities differ by {gap:.2g} on average, expected at "
            f"most {expected_gap:g}. Use engine=vllm"
        )


def completed(watches: Sequence[StopStrings], alive: Tensor, tokens: Tensor, ended: Tensor) -> Tensor:
    """Which rows `(R,)` end with this token because it completes a stop string; none of those in `ended`."""
    rows = zip(alive.tolist(), tokens.tolist(), ended.tolist(), strict=True)
    ends = [not has_ended and watches[rollout].completed_by(token) for rollout, token, has_ended in rows]
    return torch.tensor(ends, device=tokens.device)


def in_place_cache(model: PreTrainedModel, capacity: int) -> Cache:
    """The model's own cache, with plain layers replaced by layers that never copy their contents."""
    cache = DynamicCache(config=model.config)
    cache.layers = [InPlaceLayer(capacity) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


class InPlaceLayer(DynamicLayer):
    """Keys and values of one layer in a buffer `(rows, heads, capacity, dim)` that is allocated once.

    transformers' own dynamic layer concatenates, which copies the whole layer's cache for each token.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.length = 0
        self.is_initialized: bool = False

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: object, **kwargs: object
    ) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            rows, heads, _, _ = key_states.shape
            self.keys = key_states.new_empty(rows, heads, self.capacity, key_states.shape[-1])
            self.values = value_states.new_empty(rows, heads, self.capacity, value_states.shape[-1])
            self.is_initialized = True
        end = self.length + key_states.shape[2]
        self.keys[:, :, self.length : end] = key_states
        self.values[:, :, self.length : end] = value_states
        self.length = end
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_seq_length(self) -> int:
        return self.length

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.length + query_length, 0

    def reorder_cache(self, beam_idx: Tensor) -> None:
        """Keep the rows in `beam_idx`, in its order: for more or fewer rows too, as in transformers' other layers."""
        for name in ("keys", "values"):
            old = getattr(self, name)
            new = old.new_empty(len(beam_idx), *old.shape[1:])
            new[:, :, : self.length] = old[beam_idx, :, : self.length]
            setattr(self, name, new)
