"""A released folder in MLX: loss and greedy tokens by mlx-lm."""

import importlib.metadata
import json
import sys
from pathlib import Path

import mlx.core as mx  # pyright: ignore[reportMissingImports]
import mlx.nn as nn  # pyright: ignore[reportMissingImports]
from mlx_lm import load  # pyright: ignore[reportMissingImports]
from mlx_lm.generate import generate_step  # pyright: ignore[reportMissingImports]

folder = sys.argv[1]
reference = json.loads((Path(folder) / "reference.json").read_text())
model, tokenizer = load(folder)
model.set_dtype(mx.float32)
total, count = 0.0, 0
for ids in reference["sequences"]:
    logits = model(mx.array([ids[:-1]]))
    total += nn.losses.cross_entropy(logits[0], mx.array(ids[1:]), reduction="sum").item()
    count += len(ids) - 1
completions = []
for completion in reference["completions"]:
    made = []
    for token, _ in generate_step(mx.array(completion["prompt"]), model, max_tokens=len(completion["completion"])):
        made.append(int(token))
        if made[-1] in tokenizer.eos_token_ids:
            break
    completions.append(made)
prompts = [
    tokenizer.apply_chat_template([{"role": "user", "content": text["prompt"]}], add_generation_prompt=True)
    for text in reference["texts"]
    if text["chat"]
]
version = importlib.metadata.version("mlx-lm")
print(json.dumps({"version": version, "loss": total / count, "completions": completions, "prompts": prompts}))
