"""Training on one rank of this device's backend: equal to plain AdamW at every ZeRO stage, and what a step costs."""

import argparse
import dataclasses
import gc
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from gpu_losses import verdict
from pretraining import RATE, model_of, phase_of, trainer_of, typical, write_tokens
from torch import Tensor, distributed

from pipeline.pretraining.config import OptimizerConfig, PhaseConfig
from pipeline.pretraining.data.stream import IGNORE_INDEX, TokenStream
from pipeline.pretraining.engine import checkpoints, optimizer_state
from pipeline.pretraining.engine.distributed import device
from pipeline.pretraining.engine.engine import join_process_group, leave_process_group, start_engine
from pipeline.pretraining.engine.learning_rate import parameter_groups, set_learning_rate
from pipeline.pretraining.engine.logits_check import check_logits, reference_logits, reference_tokens
from pipeline.pretraining.model.model import TrainingModel, build_training_model
from pipeline.pretraining.trainer import Trainer

NEXT_STAGE = {1: 2, 2: 3, 3: 1}
LIMITS = {"fp32": (1e-4, 1e-2, 1e-3), "bf16": (1e-2, 0.3, 0.05)}
"""What counts as good. Of the losses against AdamW in fp32, the largest relative difference; of the weights against it,
and of the weights of a resumed run against those of one that was not stopped, the norm of the difference relative to
that of what training changed."""


class Losses:
    """A tracker that keeps the losses of all steps."""

    def __init__(self) -> None:
        self.found: list[float] = []

    def log(self, metrics: dict[str, float], tokens: int, step: int) -> None:
        """Keeps the loss of a step."""
        self.found.append(metrics["train/loss"])


def settings(dry: bool, **options: Any) -> PhaseConfig:
    """A phase of `pretraining.py`, small where it is dry."""
    tiny = (
        {"shape": "small", "layers": 1, "context": 128, "sequences": 1, "rounds": 1, "precision": "fp32"} if dry else {}
    )
    chosen = {"layers": None, "recompute": False, "mlp_tiles": 1, **options, **tiny}
    return phase_of(argparse.Namespace(**chosen), compiled=False)


def zero(dry: bool, work: Path, packed: Path | None) -> Iterator[dict[str, Any] | str]:
    """Of each ZeRO stage and precision: trained, stopped in the middle and resumed, handed to another stage."""
    steps = 4 if dry else 20
    options = {"shape": "small", "context": 1024, "sequences": 2, "rounds": 2, "steps": steps, "precision": "fp32"}
    # Rounding decides the direction of an update whose moments are not far above epsilon.
    base = dataclasses.replace(
        settings(dry, **options),
        optimizer=OptimizerConfig(epsilon=1e-8),
        log_every_steps=1,
        save_every_steps=steps // 2,
    )
    write_tokens(work / "tokens", base.shape.vocab_size, 300_000)
    join_process_group()
    yield f"{distributed.get_backend()}, {steps} steps of {base.tokens_per_step:,} tokens; AdamW in fp32 beside them"
    for precision, (of_losses, of_weights, of_resumed) in LIMITS.items():
        losses, weights, start = plain_adamw(dataclasses.replace(base, precision=precision), work / "tokens")
        for stage in (1, 2, 3):
            began = time.perf_counter()
            phase = dataclasses.replace(base, precision=precision, deepspeed=of_stage(stage))
            folder = work / f"{precision}-{stage}"
            found, state, _ = train(phase, work / "tokens", folder)
            again, resumed, handed_over = train(phase, work / "tokens", folder, NEXT_STAGE[stage])
            moved = math.sqrt(sum(float((weights[name] - start[name]).square().sum()) for name in weights))
            error = max(abs(mine / theirs - 1) for mine, theirs in zip(found, losses, strict=True))
            far, off = distance(state, weights) / moved, distance(resumed, state) / moved
            good = error <= of_losses and far <= of_weights and off <= of_resumed and len(again) == steps - steps // 2
            yield {
                "ZeRO": stage, "precision": precision, "losses": error, "weights": far, "resumed": off,
                "handed to ZeRO": NEXT_STAGE[stage], "arrived": handed_over,
                "good": verdict(good and handed_over == "same"), "seconds": time.perf_counter() - began,
            }  # fmt: skip
    leave_process_group()


def of_stage(stage: int) -> dict[str, Any]:
    """DeepSpeed's settings of a ZeRO stage."""
    return {"zero_optimization": {"stage": stage}}


def distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Norm of the difference of the weights of a training state and another's."""
    names = [name for name in other if name.startswith(f"{optimizer_state.MASTER}.")]
    return math.sqrt(sum(float((one[name] - other[name]).square().sum()) for name in names))


def plain_adamw(phase: PhaseConfig, tokens: Path) -> tuple[list[float], dict[str, Tensor], dict[str, Tensor]]:
    """Losses, weights and first weights of a loop in fp32 with torch's AdamW alone, by the names of our states."""
    trained = TrainingModel(model_of(phase), phase.loss_chunk_tokens).to(device())
    if phase.precision == "bf16":
        # DeepSpeed's fp32 weights begin as copies of the rounded ones.
        trained = trained.bfloat16().float()
    named = {f"{optimizer_state.MASTER}.{name}": each for name, each in trained.named_parameters()}
    start = {name: each.detach().cpu().clone() for name, each in named.items()}
    chosen = phase.optimizer
    groups = parameter_groups(trained, phase.shape, chosen)
    optimizer = torch.optim.AdamW(groups, lr=0.0, betas=chosen.betas, eps=chosen.epsilon)
    stream = TokenStream(tokens, phase.mixture, phase.context, seed=0)
    losses = []
    for step in range(phase.steps):
        set_learning_rate(optimizer.param_groups, RATE)
        batch = stream.read(step * phase.sequences_per_step, phase.sequences_per_step)
        inputs = [torch.from_numpy(each).to(device()) for each in (batch.tokens, batch.positions, batch.labels)]
        loss = trained(*inputs)[0] / (batch.labels != IGNORE_INDEX).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), chosen.gradient_clipping)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses, {name: each.detach().cpu() for name, each in named.items()}, start


def train(
    phase: PhaseConfig, tokens: Path, folder: Path, next_stage: int | None = None
) -> tuple[list[float], dict[str, Tensor], str]:
    """Trains a phase from its newest step checkpoint: its losses, its training state, and if a next ZeRO stage is
    named, whether the state reached it by way of files: `same`, or what differs."""
    trainer = trainer_of(phase, tokens, folder)
    recorded = Losses()
    trainer.context.tracker = recorded  # type: ignore[assignment]
    trainer.train()
    state = optimizer_state.gather_training_state(trainer.engine)
    steps, logits = optimizer_state.adam_step_count(trainer.engine), reference_logits(trainer.engine)
    trainer.engine.destroy()
    arrived = ""
    if next_stage is not None:
        checkpoints.save_training_state(state, {"adam_step": steps}, folder / "training_state")
        loaded, progress = checkpoints.load_training_state(folder / "training_state")
        following = dataclasses.replace(phase, deepspeed=of_stage(next_stage))
        engine = start_engine(build_training_model(model_of(following), following), following, 1)
        optimizer_state.restore_training_state(engine, loaded, progress["adam_step"])
        check_logits(engine, logits, "handed over")
        there = optimizer_state.gather_training_state(engine)
        differ = [name for name in state if not torch.equal(state[name], there[name])]
        arrived = f"{len(differ)} tensors differ" if differ else "same"
        engine.destroy()
    return recorded.found, state, arrived


def steps(dry: bool, work: Path, packed: Path | None) -> Iterator[dict[str, Any] | str]:
    """Seconds of a step and peak memory, one thing changed at a time; everything is compiled anew for each."""
    options = {"shape": "1b", "context": 4096, "sequences": 4, "rounds": 1, "precision": "bf16"}
    base = settings(dry, steps=4 if dry else 10, **options)
    write_tokens(work / "tokens", base.shape.vocab_size, max(4 * base.tokens_per_step, 200_000))
    join_process_group()
    yield (
        f"{base.shape.parameters / 1e6:,.0f}M parameters, {base.precision}, {base.attention}, {base.tokens_per_step:,} "
        f"tokens a step. The first is as it is now: loss in chunks of {base.loss_chunk_tokens:,}, foreach on a GPU."
    )
    variants: list[tuple[str, PhaseConfig, Callable[[Trainer], Any]]] = [
        ("logits check last", base, lambda trainer: None),
        ("logits check first", base, lambda trainer: reference_logits(trainer.engine)),
        ("16 tokens compiled first", base, compile_few_tokens),
        ("loss in chunks of 8,192", dataclasses.replace(base, loss_chunk_tokens=8192), lambda trainer: None),
        ("fused AdamW", base, fuse),
    ]
    for number, (name, phase, prepare) in enumerate(variants):
        torch._dynamo.reset()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        trainer = trainer_of(phase, work / "tokens", work / str(number))
        prepare(trainer)
        trainer.train()
        seconds = trainer.times.seconds
        row = {"what": name, "seconds of a step": typical(seconds), "of the first": seconds[0],
               "tokens/s": phase.tokens_per_step / typical(seconds)}  # fmt: skip
        yield {**row, "GiB": torch.cuda.max_memory_allocated() / 2**30} if torch.cuda.is_available() else row
        trainer.engine.destroy()
        del trainer
    leave_process_group()


def compile_few_tokens(trainer: Trainer) -> None:
    """What the logits check did before it was kept from compiling: kernels for any length."""
    tokens, _ = reference_tokens(trainer.context.config.shape.vocab_size)
    positions = torch.arange(tokens.shape[1])[None]
    trainer.engine.eval()
    with torch.no_grad():
        trainer.engine(tokens.to(device()), positions.to(device()))
    trainer.engine.train()


def fuse(trainer: Trainer) -> None:
    """Has AdamW step with one kernel, which wants its counts of steps on the device."""
    for group in trainer.optimizer.param_groups:
        group.update(foreach=False, fused=True)
    for state in trainer.optimizer.state.values():
        state["step"] = state["step"].to(device())
