"""The Hugging Face folder: written from a checkpoint, then loaded by a process that has nothing else, as proof."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from pipeline.core.errors import ArtifactError, CheckpointError
from pipeline.core.files import read_json
from pipeline.release.portable import make_portable

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
STANDALONE = Path(__file__).with_name("standalone.py")


@dataclass(frozen=True)
class ModelShape:
    """What kind of model is released and how large it is, for the model card."""

    architecture: str
    """transformers' name of the kind of model, such as `granite`."""
    parameters: int
    """Number of weights, tied ones counted once."""
    context: int
    """Longest context in tokens, by the model's configuration."""


def write_model_folder(checkpoint: Path, folder: Path, precision: str, chat: bool = True) -> ModelShape:
    """Writes weights (safetensors), configuration, generation configuration, tokenizer and chat template.

    All who may enter the folder can read its files, and other programs than this version of transformers.

    Args:
        checkpoint: Hugging Face folder of the model to release.
        folder: where to write.
        precision: number format of the weights, `fp32` or `bf16`.
        chat: whether the model answers messages, for which it must have a chat template.

    Raises:
        CheckpointError: if the checkpoint cannot be loaded, is no language model, or has no chat template
            to answer messages with.
    """
    _check_language_model(checkpoint)
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            checkpoint, dtype=PRECISIONS[precision], local_files_only=True
        )
        tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{checkpoint}: cannot be loaded ({' '.join(str(error).split())})") from None
    if chat and not tokenizer.chat_template:
        raise CheckpointError(f"{checkpoint}: has no chat template; make its stage again")
    # Training with gradient checkpointing turns it off, and generating without it is slow.
    model.config.use_cache = True
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    make_portable(folder)
    config = model.config
    return ModelShape(config.model_type, model.num_parameters(), config.max_position_embeddings)


def _check_language_model(checkpoint: Path) -> None:
    path = checkpoint / "config.json"
    architectures = read_json(path).get("architectures") or [] if path.is_file() else []
    if not any(each.endswith("ForCausalLM") for each in architectures):
        found = ", ".join(architectures) or "no config.json that names one"
        raise CheckpointError(
            f"{checkpoint}: holds no language model ({found}); set the release's inputs.model to a stage that makes one"
        )


def measure_in_isolation(
    folder: Path, texts: Sequence[dict[str, Any]], maximum_new_tokens: int, timeout_seconds: float
) -> dict[str, Any]:
    """A released model's loss and greedy answers, by `standalone.py` in an interpreter that cannot import this package.

    Args:
        folder: the released folder.
        texts: each with `prompt`, `response` and `chat`, see `standalone.main`, which also says what is returned.
        maximum_new_tokens: most tokens of an answer.
        timeout_seconds: most time for loading and all answers.

    Raises:
        ArtifactError: if the folder does not load or answer there, or takes too long.
    """
    command = [sys.executable, "-I", str(STANDALONE), str(folder.resolve()), str(maximum_new_tokens)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    with tempfile.TemporaryDirectory() as empty:
        try:
            done = subprocess.run(
                command,
                input=json.dumps(list(texts)),
                cwd=empty,
                env=environment,
                capture_output=True,
                text=True,
                timeout=timeout_seconds,
            )
        except subprocess.TimeoutExpired:
            raise ArtifactError(
                f"{folder}: no answer within {timeout_seconds:g} s; raise stages.release.config.timeout_seconds"
            ) from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no output"]
        raise ArtifactError(f"{folder}: does not load and answer outside this package: {lines[-1]}")
    return json.loads(done.stdout.strip().splitlines()[-1])
