"""ONNX for ONNX Runtime: one graph with a key and value cache, for prompts and for single steps alike."""

import contextlib
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import DynamicCache, GenerationConfig

from pipeline.core.extras import require
from pipeline.export.held_out import Passage, next_token_losses
from pipeline.inference.loading import load_model

SAMPLE = [[5, 6, 7, 8], [9, 10, 11, 12]]
"""Ids that the graph is traced with: two of each dimension that is to stay variable, as sizes of one become fixed."""


def write_onnx(source: Path, folder: Path) -> None:
    """Writes `model.onnx` with its weights in `model.onnx.data`, in 32 bits, by transformers' exporter.

    Args:
        source: the Hugging Face folder to convert.
        folder: where to write.

    Raises:
        UserError: if packages that the exporter needs are missing.
        CheckpointError: if the folder cannot be loaded.
    """
    require("onnx", "onnx", "onnxscript", "onnxruntime")
    from transformers.exporters.configs import OnnxConfig
    from transformers.exporters.exporter_onnx import OnnxExporter
    from transformers.exporters.utils import decompose_for_generation

    for name in ("torch.onnx", "torch._export"):
        # Dozens of lines about operators that no such model has.
        logging.getLogger(name).setLevel(logging.ERROR)
    config = (folder / "config.json").read_bytes()
    model: Any = load_model(source, "fp32").model.cpu()
    ids = torch.tensor(SAMPLE)
    steps = GenerationConfig(max_new_tokens=3, do_sample=False, eos_token_id=None, pad_token_id=0)
    parts = decompose_for_generation(
        model,
        {"input_ids": ids, "attention_mask": torch.ones_like(ids)},
        generation_config=steps,
        multi_token_decode=True,
    )
    part: Any
    part, inputs = parts["decode"]
    # The command's output is the folder; torch prints its steps.
    with contextlib.redirect_stdout(sys.stderr):
        OnnxExporter().export(part, inputs, OnnxConfig(dynamic=True)).save_pretrained(folder)
    (folder / "config.json").write_bytes(config)


def onnx_losses(folder: Path, passages: Sequence[Passage]) -> list[list[float]]:
    """The losses that ONNX Runtime measures."""
    from transformers.exporters.base import ExportedModel

    model = ExportedModel.from_pretrained(folder, local_files_only=True)
    losses = []
    for each in passages:
        logits = model(
            input_ids=torch.tensor([each.tokens]),
            position_ids=torch.arange(len(each.tokens))[None],
            past_key_values=empty_cache(model.config),
        ).logits
        losses.append(next_token_losses(logits[0], each.tokens))
    return losses


def empty_cache(config: Any) -> DynamicCache:
    """The cache of a model that has read nothing yet, for one text."""
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    none = torch.zeros(1, config.num_key_value_heads, 0, size)
    return DynamicCache([(none, none)] * config.num_hidden_layers)
