"""Losses and gradients on this device against fp64: the three kernels of attention, and the cross-entropy.

Two rows of packed documents go through the same small model in each precision. The reference is the same model in fp64
with eager attention and torch's cross-entropy of whole logits; inside it, transformers takes norms and the softmax of
attention in fp32.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from pretraining import GRANITE, write_tokens
from torch import Tensor
from torch.nn import functional

from pipeline.pretraining.data.stream import IGNORE_INDEX, TokenStream
from pipeline.pretraining.engine.distributed import device
from pipeline.pretraining.model.cross_entropy import LinearCrossEntropy
from pipeline.pretraining.model.model import TrainingModel, build_model, granite_config, initialize

SHAPE = dataclasses.replace(
    GRANITE["8b"], vocab_size=8192, hidden_size=512, layers=4, attention_heads=8, key_value_heads=2,
    mlp_hidden_size=1536,
)  # fmt: skip
CONTEXT, ROWS, THETA, CHUNK = 2048, 2, 10_000.0, 1024
LIMITS = {torch.float32: (1e-5, 1e-3), torch.bfloat16: (1e-2, 5e-2)}
"""Largest error of the loss and of the gradient, relative, that counts as good."""


def verdict(good: bool) -> str:
    """The cell of a column `good`; what is not good makes the session's exit code 1."""
    return "yes" if good else "no"


def losses(dry: bool, work: Path, packed: Path | None) -> Iterator[dict[str, Any] | str]:
    """Rows of relative errors."""
    shape, context = SHAPE, CONTEXT
    if dry:
        shape, context = dataclasses.replace(SHAPE, hidden_size=128, layers=2, mlp_hidden_size=192), 256
    write_tokens(work / "tokens", shape.vocab_size, 50_000)
    batch = TokenStream(work / "tokens", {"code": 1.0}, context, seed=0).read(0, ROWS)
    inputs = [torch.from_numpy(each).to(device()) for each in (batch.tokens, batch.positions, batch.labels)]

    def model(kernel: str, dtype: torch.dtype) -> Any:
        config = granite_config(shape, context, THETA)
        config._attn_implementation = kernel
        made: Any = build_model(config)
        initialize(made, shape, seed=1)
        return made.to(device(), dtype)

    reference = model("eager", torch.float64)
    tokens, positions, labels = inputs
    logits = reference(input_ids=tokens, position_ids=positions, use_cache=False).logits
    expected = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE_INDEX)
    expected.backward()
    gradient = _gradient(reference)
    yield f"{batch.tokens.size:,} tokens in {int((batch.positions == 0).sum())} documents; {_versions()}"
    for dtype, (of_loss, of_gradient) in LIMITS.items():
        for kernel in ("flex_attention", "sdpa", "eager"):
            trained = TrainingModel(model(kernel, dtype), CHUNK)
            # torch has no backward pass of flex attention on a CPU, and compiles what it has for half a minute.
            forward_only = kernel == "flex_attention" and device().type == "cpu"
            stance = torch.compiler.set_stance("force_eager" if forward_only else "default")
            with torch.set_grad_enabled(not forward_only), stance:
                loss = trained(*inputs)[0] / (labels != IGNORE_INDEX).sum()
            error = abs(loss.item() / expected.item() - 1)
            row = {"what": kernel, "precision": _name(dtype), "error of the loss": error}
            if not forward_only:
                loss.backward()
                difference = _gradient(trained.model) - gradient
                row["error of the gradient"] = float(difference.norm() / gradient.norm())
            good = error <= of_loss and row.get("error of the gradient", 0.0) <= of_gradient
            yield {**row, "good": verdict(good)}
    yield from _cross_entropy(*((256, 64, 1024) if dry else (4096, 2048, 100_352)))


def _cross_entropy(tokens: int, width: int, vocabulary: int) -> Iterator[dict[str, Any]]:
    """The loss alone: a hidden state and a matrix of normal numbers, and a z-loss."""
    generator = torch.Generator(device()).manual_seed(0)
    settings: dict[str, Any] = {"generator": generator, "device": device(), "dtype": torch.float64}
    values = torch.randn(tokens, width, **settings), torch.randn(vocabulary, width, **settings) / width**0.5
    labels = torch.randint(vocabulary, (tokens,), generator=generator, device=device())
    labels[::7] = IGNORE_INDEX
    weight = 1e-4
    for dtype, (of_loss, of_gradient) in LIMITS.items():
        # The same rounded numbers for both: what is measured is the arithmetic.
        ours, exact = ([each.to(dtype).to(kind).requires_grad_() for each in values] for kind in (dtype, torch.float64))
        loss = LinearCrossEntropy.apply(*ours, labels, CHUNK, weight)[0]
        logits = exact[0] @ exact[1].t()
        penalty = weight * (logits.logsumexp(-1).square() * (labels != IGNORE_INDEX)).sum()
        expected = functional.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="sum") + penalty
        loss.backward()
        expected.backward()
        pairs: list[Any] = [(mine.grad, theirs.grad) for mine, theirs in zip(ours, exact, strict=True)]
        errors = [float((mine.double() - theirs).norm() / theirs.norm()) for mine, theirs in pairs]
        error = abs(loss.item() / expected.item() - 1)
        yield {
            "what": f"LinearCrossEntropy, {tokens:,} × {vocabulary:,}",
            "precision": _name(dtype),
            "error of the loss": error,
            "error of the gradient": max(errors),
            "good": verdict(error <= of_loss and max(errors) <= of_gradient),
        }


def _gradient(model: torch.nn.Module) -> Tensor:
    """All gradients as one fp64 vector."""
    return torch.cat([each.grad.double().flatten() for each in model.parameters() if each.grad is not None])


def _name(dtype: torch.dtype) -> str:
    return {torch.float32: "fp32", torch.bfloat16: "bf16"}[dtype]


def _versions() -> str:
    import deepspeed
    import transformers

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return (
        f"{name}, torch {torch.__version__}, transformers {transformers.__version__}, deepspeed {deepspeed.__version__}"
    )
