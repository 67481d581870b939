"""A checkpoint folder as a model that is ready to be evaluated, loaded as any user of transformers would."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.integrations import deepspeed as integration

from pipeline.core.errors import CheckpointError
from pipeline.pretraining.engine.distributed import device

Precision = Literal["fp32", "bf16", "auto"]
DTYPES: dict[Precision, Any] = {"fp32": torch.float32, "bf16": torch.bfloat16, "auto": "auto"}


@dataclass(frozen=True)
class LoadedModel:
    """A causal language model in evaluation mode, and its tokenizer."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase


@contextmanager
def loading_whole() -> Iterator[None]:
    """Inside, `from_pretrained` gives a model all of its weights, also beside a trainer under ZeRO-3.

    transformers goes by the configuration of DeepSpeed that this process made last, whichever model it is for, and
    under ZeRO-3 loads each as shards, which only an engine of DeepSpeed can run; it has no option that leaves one out
    (huggingface/transformers#28106).
    """
    reference = integration._hf_deepspeed_config_weak_ref
    integration.unset_hf_deepspeed_config()
    try:
        yield
    finally:
        if (config := reference and reference()) is not None:
            integration.set_hf_deepspeed_config(config)


def load_model(checkpoint: Path, precision: Precision = "auto", attention: str = "sdpa") -> LoadedModel:
    """The model and tokenizer of a Hugging Face folder, on this rank's GPU, or the CPU where there is none.

    Args:
        checkpoint: the folder. Nothing is downloaded.
        precision: type of the weights; `auto` keeps the one they are stored in.
        attention: transformers' attention implementation.

    Raises:
        CheckpointError: if the folder lacks a file, or a file is damaged.
    """
    try:
        with loading_whole():
            model: Any = AutoModelForCausalLM.from_pretrained(
                checkpoint, dtype=DTYPES[precision], attn_implementation=attention, local_files_only=True
            )
        tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{checkpoint}: cannot be loaded ({' '.join(str(error).split())})") from None
    return LoadedModel(model.to(device()).eval(), tokenizer)
