"""The Hugging Face folder: written from a checkpoint, then loaded elsewhere as proof."""

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

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}
STANDALONE = Path(__file__).with_name("standalone.py")


@dataclass(frozen=True)
class Facts:
    """What the model card says of the weights."""

    parameters: int
    context: int
    """Tokens the configuration says the model attends over."""


def write_folder(checkpoint: Path, folder: Path, precision: str) -> Facts:
    """Writes weights (safetensors), configuration, generation configuration, tokenizer and chat template.

    Raises:
        CheckpointError: if the checkpoint cannot be loaded or has no chat template.
    """
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            checkpoint, dtype=PRECISIONS[precision], local_files_only=True
        )
        tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointError(f"{checkpoint}: cannot be loaded ({' '.join(str(error).split())})") from None
    if not tokenizer.chat_template:
        raise CheckpointError(f"{checkpoint}: has no chat template; make its stage again")
    model.generation_config = GenerationConfig(
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return Facts(model.num_parameters(), model.config.max_position_embeddings)


def answer_alone(folder: Path, prompts: Sequence[str], maximum_new_tokens: int, timeout_seconds: float) -> list[str]:
    """Answers of the folder in an isolated interpreter that cannot import this package.

    Raises:
        ArtifactError: if it does not load or answer there, or takes too long.
    """
    command = [sys.executable, "-I", str(STANDALONE), str(folder.resolve()), str(maximum_new_tokens)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    with tempfile.TemporaryDirectory() as elsewhere:
        try:
            done = subprocess.run(
                command,
                input=json.dumps(list(prompts)),
                cwd=elsewhere,
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
