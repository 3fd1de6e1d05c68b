"""vLLM in the trainer's own process, with a copy of the policy's weights that is replaced after each update.

This file adds one request per prompt and steps the engine itself, so finished groups are returned at once and verified
while others are still being sampled. Log-probabilities belong to the sampled distribution, temperature included.

Left out: tensor parallelism and engines in other processes (they would implement the same protocol), sleep mode.
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from rlvr.engines.base import Request, WeightUpdate
from rlvr.errors import ConfigError, DataError, WeightSyncError
from rlvr.models.vocabulary import UNLIKELY
from rlvr.models.weights import saved_names
from rlvr.types import Completion, Finish

# The beginning of what vLLM says; it may go on with the names of all weights.
REASON_CHARACTERS = 300
# vLLM's reasons for the end of a completion.
FINISHES: dict[str, Finish] = {"stop": "stop", "length": "length"}


class VLLMEngine:
    """Serves the model in `folder` (Hugging Face format, safetensors).

    `end_ids` end a completion, and `unknown_ids` are never sampled. `max_model_len` bounds prompt and completion
    together, `gpu_memory_utilization` is the share of the GPU that weights and cache may take; on a CPU the cache takes
    VLLM_CPU_KVCACHE_SPACE GiB (1 if unset).
    """

    shares_weights = False

    def __init__(
        self,
        folder: Path,
        end_ids: Sequence[int],
        seed: int,
        dtype: str,
        max_model_len: int,
        gpu_memory_utilization: float = 0.4,
        enforce_eager: bool = False,
        unknown_ids: Sequence[int] = (),
        trust_remote_code: bool = False,
    ) -> None:
        # The engine must run in this process: weights are passed as tensors, not as messages.
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
        # At WARNING it logs "Failed to load weights" for layers without weights, and more that is handled here:
        # `weight_sync.prove_sync` proves that weights arrive. VLLM_LOGGING_LEVEL=WARNING brings the messages back.
        os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
        try:
            from vllm import LLM
        except ImportError as error:
            raise ConfigError(
                f"engine: vllm cannot be imported ({error}); install it with pip install 'rlvr[vllm]' (on a GPU), or "
                "use engine=transformers"
            ) from error
        if "vision_config" in json.loads((folder / "config.json").read_text()) and find_spec("torchvision") is None:
            raise ConfigError(
                "engine: vllm cannot serve this model: it has a vision tower, for which vLLM needs torchvision; "
                "install that, or use engine=transformers"
            )
        self.weight_names = saved_names(folder)
        try:
            self.llm = LLM(
                model=str(folder),
                dtype=dtype,
                seed=seed % 2**31,
                max_model_len=max_model_len,
                gpu_memory_utilization=gpu_memory_utilization,
                enforce_eager=enforce_eager,
                trust_remote_code=trust_remote_code,
                logprobs_mode="processed_logprobs",
                enable_prefix_caching=True,
                # With chunked prefill vLLM rewinds seeded generators, which CPU generators do not support.
                enable_chunked_prefill=torch.cuda.is_available(),
                disable_log_stats=True,
                use_tqdm_on_load=False,
            )
        except Exception as error:  # vLLM raises whatever its many parts raise
            reason = " ".join(str(error).split())[:REASON_CHARACTERS]
            raise ConfigError(
                f"engine: vllm cannot serve this model: {reason}; use engine=transformers, or a version of vLLM that "
                "supports it"
            ) from error
        vocabulary = self.llm.llm_engine.model_config.get_vocab_size()
        self.end_ids = [token for token in end_ids if token < vocabulary]  # a tokenizer may have more than the model
        if unknown_ids:
            self.llm.collective_rpc(leave_out, args=(list(unknown_ids),))
        self.max_model_len = max_model_len
        self.version = 0
        self.requests = 0
        self.number_of: dict[str, int] = {}  # numbers of the open requests, by vLLM's request ids

    def load(self, update: WeightUpdate) -> None:
        """Replace all weights, and drop all cached keys and values, which the old weights computed."""
        if self.number_of:
            raise WeightSyncError(
                f"{len(self.number_of)} requests are open, and their cached keys belong to the old weights; expected "
                "none when weights are loaded"
            )
        if update.names != self.weight_names:
            missing = sorted(self.weight_names - update.names)[:3]
            unknown = sorted(update.names - self.weight_names)[:3]
            raise WeightSyncError(
                f"weights of version {update.version} are not those of the engine: missing {missing}, unknown "
                f"{unknown} (expected {len(self.weight_names)} tensors, got {len(update.names)})"
            )
        self.llm.collective_rpc(exchange_weights, args=(arriving(update),))
        if not self.llm.reset_prefix_cache():
            raise WeightSyncError(
                "vLLM did not reset its prefix cache after a weight sync: keys of old weights would be used"
            )
        self.version = update.version

    def submit(self, request: Request) -> None:
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind

        length = len(request.prompt_ids) + request.sampling.max_tokens
        if length > self.max_model_len:
            raise DataError(
                f"a prompt of {len(request.prompt_ids)} tokens with sampling.max_tokens={request.sampling.max_tokens} "
                f"takes {length} tokens, expected at most engine.max_model_len={self.max_model_len}: vLLM would cut "
                "its completions. Raise engine.max_model_len, lower max_tokens, or leave long prompts out"
            )
        sampling, request_id = request.sampling, str(self.requests)
        params = SamplingParams(
            n=request.n,
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            repetition_penalty=sampling.repetition_penalty,
            max_tokens=sampling.max_tokens,
            min_tokens=min(sampling.min_tokens, sampling.max_tokens),
            seed=request.seed,
            logprobs=0,  # only of the sampled token
            stop_token_ids=[*self.end_ids, *sampling.stop_token_ids],
            ignore_eos=True,  # the ends are those of `end_ids`, whatever the folder's generation_config.json names
            stop=list(sampling.stop),
            include_stop_str_in_output=True,
            detokenize=bool(sampling.stop),
            skip_special_tokens=False,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        self.llm.llm_engine.add_request(request_id, {"prompt_token_ids": list(request.prompt_ids)}, params)
        self.requests += 1
        self.number_of[request_id] = request.number

    def ready(self, timeout_seconds: float | None = None) -> list[tuple[int, list[Completion]]]:
        engine, started = self.llm.llm_engine, time.monotonic()
        finished: list[tuple[int, list[Completion]]] = []
        while self.number_of and not finished:
            for output in engine.step():
                if output.finished:
                    number = self.number_of.pop(output.request_id)
                    finished.append((number, [self._completion(completion) for completion in output.outputs]))
            if timeout_seconds is not None and time.monotonic() - started > timeout_seconds:
                break
        return finished

    def open(self) -> int:
        return len(self.number_of)

    def abort(self) -> None:
        if self.number_of:
            self.llm.llm_engine.abort_request(list(self.number_of))
            self.number_of.clear()

    def close(self) -> None:
        """Stop the engine and free its memory."""
        self.abort()
        self.llm.llm_engine.engine_core.shutdown()

    def _completion(self, output: Any) -> Completion:
        ids = list(output.token_ids)
        logprobs = [float(at[token].logprob) for token, at in zip(ids, output.logprobs, strict=True)]
        if output.finish_reason not in FINISHES:
            raise RuntimeError(
                f"vLLM ended a completion after {len(ids)} tokens with the reason {output.finish_reason!r}, expected "
                f"one of {', '.join(FINISHES)}"
            )
        return Completion(ids, logprobs, FINISHES[output.finish_reason], (self.version,))


def arriving(update: WeightUpdate) -> Iterator[tuple[str, Tensor]]:
    """The weights one by one, with one bucket in memory at a time. Raises `WeightSyncError` if some are missing."""
    missing = set(update.names)
    for bucket in update.buckets:
        missing -= bucket.keys()
        yield from bucket.items()
    if missing:
        raise WeightSyncError(
            f"{len(missing)} of {len(update.names)} weights of version {update.version} were lost on the way, such as "
            f"{min(missing)}: the engine holds a mixture now. Start the same command again"
        )


def exchange_weights(worker: Any, weights: Iterator[tuple[str, Tensor]]) -> None:
    """In vLLM's worker: replace the old weights with `weights` as they arrive.

    The model's own `load_weights` fails on CPUs, where weights are packed for the processor's instructions when the
    engine starts; `reload_weights` packs them again. It misses two kinds of layers (vLLM 0.32; both were found by
    `weight_sync.prove_sync`): an LM head that is tied to the embedding has its own packed copy, which stays the old
    one, and experts are loaded, but not packed.
    """
    worker.model_runner.reload_weights(weights_iterator=weights)
    model = worker.model_runner.get_model()
    head: Any = getattr(model, "lm_head", None)
    if hasattr(head, "cpu_linear"):
        head.quant_method.process_weights_after_loading(head)
    for layer in model.modules():
        kernel = getattr(getattr(layer, "quant_method", None), "moe_kernel", None)
        experts: Any = getattr(kernel, "fused_experts", None)
        if hasattr(experts, "isa"):  # experts on a CPU: the instructions that they are packed for
            experts.process_weights_after_loading(layer)


def leave_out(worker: Any, token_ids: list[int]) -> None:
    """In vLLM's worker: give tokens a probability of zero, as `models.vocabulary` does in the learner."""
    model = worker.model_runner.get_model()
    compute_logits = model.compute_logits
    index = torch.tensor(token_ids, device=next(model.parameters()).device)

    def compute_known_logits(*args: Any, **kwargs: Any) -> Tensor | None:
        logits: Tensor | None = compute_logits(*args, **kwargs)
        if logits is None:  # a rank that holds no logits
            return None
        return logits.index_fill_(-1, index, UNLIKELY)

    model.compute_logits = compute_known_logits
