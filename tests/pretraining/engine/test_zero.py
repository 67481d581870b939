"""DeepSpeed on two gloo ranks trains what one process with plain AdamW trains."""

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from pipeline.pretraining.config import OptimizerConfig, PhaseConfig, ScheduleConfig
from pipeline.pretraining.data.stream import IGNORE_INDEX
from pipeline.pretraining.engine import optimizer_state
from pipeline.pretraining.engine.distributed import sum_over_ranks
from pipeline.pretraining.engine.engine import join_process_group, leave_process_group, start_engine
from pipeline.pretraining.engine.learning_rate import parameter_groups, set_learning_rate
from pipeline.pretraining.model.model import (
    TrainingModel,
    build_model,
    granite_config,
    initialize,
)
from tests.distributed import run_on_ranks, save
from tests.pretraining.training import SHAPE
from tests.settings import stage_config

NEXT_STAGE = {0: 2, 1: 3, 2: 1, 3: 0}
STEPS, SEQUENCES, CONTEXT, RATE = 4, 8, 16, 3e-3


def phase(stage: int, sequences_per_rank: int) -> PhaseConfig:
    return stage_config(
        "phase1",
        model=SHAPE,
        tokens=1,
        context=CONTEXT,
        sequences_per_step=SEQUENCES,
        sequences_per_rank=sequences_per_rank,
        mixture={"code": 1.0},
        learning_rate=ScheduleConfig(law="constant", start=RATE),
        optimizer=OptimizerConfig(epsilon=1e-8, gradient_clipping=0.5),
        precision="fp32",
        deepspeed={"zero_optimization": {"stage": stage}},
    )


def data(step: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens, positions and labels of a step; sequences have different numbers of labels."""
    generator = numpy.random.Generator(numpy.random.Philox(step))
    tokens = generator.integers(0, SHAPE.vocab_size, (SEQUENCES, CONTEXT))
    positions = numpy.tile(numpy.arange(CONTEXT), (SEQUENCES, 1))
    labels = generator.integers(0, SHAPE.vocab_size, (SEQUENCES, CONTEXT))
    for sequence in range(SEQUENCES):
        labels[sequence, : 2 * sequence] = IGNORE_INDEX
    return torch.from_numpy(tokens), torch.from_numpy(positions), torch.from_numpy(labels)


def model() -> TrainingModel:
    config = granite_config(SHAPE, CONTEXT, 10_000.0)
    config._attn_implementation = "sdpa"
    made = build_model(config)
    initialize(made, SHAPE, seed=1)
    return TrainingModel(made, chunk_tokens=24)


def plain_adamw(steps: int) -> tuple[list[float], dict[str, torch.Tensor]]:
    trained, settings = model(), phase(0, 1).optimizer
    groups = parameter_groups(trained, SHAPE, settings)
    optimizer = torch.optim.AdamW(groups, lr=0.0, betas=settings.betas, eps=settings.epsilon)
    losses = []
    for step in range(steps):
        set_learning_rate(optimizer.param_groups, RATE)
        tokens, positions, labels = data(step)
        loss = trained(tokens, positions, labels)[0] / (labels != IGNORE_INDEX).sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), settings.gradient_clipping)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses, {f"master.{name}": value.detach() for name, value in trained.named_parameters()}


def deepspeed_steps(engine: Any, steps: range, sequences_per_rank: int) -> list[float]:
    """The same steps on this rank, gradients accumulated by DeepSpeed."""
    losses = []
    for step in steps:
        tokens, positions, labels = data(step)
        valid = float((labels != IGNORE_INDEX).sum())
        set_learning_rate(engine.optimizer.param_groups, RATE)
        rounds = SEQUENCES // (sequences_per_rank * engine.world_size)
        total = torch.zeros((), dtype=torch.float64)
        for number in range(rounds):
            begin = (number * engine.world_size + engine.global_rank) * sequences_per_rank
            rows = slice(begin, begin + sequences_per_rank)
            loss = engine(tokens[rows], positions[rows], labels[rows])[0]
            engine.backward(loss * rounds * engine.world_size / valid)
            total += loss.detach()
            optimizer_state.base_optimizer(engine).guard.begin(float(loss))
            engine.step()
        losses.append(float(sum_over_ranks(total)) / valid)
    return losses


def train_on_every_stage(path: Path) -> None:
    """Trains on each ZeRO stage, then goes on from each one's state on another."""
    result: dict[str, Any] = {}
    for stage, next_stage in NEXT_STAGE.items():
        engine = start_engine(model(), phase(stage, 2), world_size=2)
        losses = deepspeed_steps(engine, range(STEPS), 2)
        half = optimizer_state.gather_training_state(engine)
        step = optimizer_state.adam_step_count(engine)
        engine.destroy()
        engine = start_engine(model(), phase(next_stage, 1), world_size=2)
        optimizer_state.restore_training_state(engine, half, step)
        more = deepspeed_steps(engine, range(STEPS, 2 * STEPS), 1)
        result[str(stage)] = {
            "losses": losses + more,
            "half": half,
            "whole": optimizer_state.gather_training_state(engine),
            "step": step,
        }
        engine.destroy()
    save(path, result)
    leave_process_group()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("zero") / "ranks.pt"
    run_on_ranks(train_on_every_stage, 2, path)
    return torch.load(path, weights_only=True)


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_two_ranks_equal_plain_adamw(stage: int, trained: dict[str, Any]) -> None:
    """Loss of every step and every parameter, gradients accumulated over two micro-batches."""
    found = trained[str(stage)]
    losses, parameters = plain_adamw(STEPS)
    assert found["losses"][:STEPS] == pytest.approx(losses, rel=1e-5)
    for name, expected in parameters.items():
        torch.testing.assert_close(found["half"][name], expected, rtol=1e-4, atol=2e-6)
    assert found["step"] == STEPS


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_optimizer_state_crosses_zero_stages(stage: int, trained: dict[str, Any]) -> None:
    """Training that goes on at another ZeRO stage ends where plain AdamW without a break ends."""
    found = trained[str(stage)]
    losses, parameters = plain_adamw(2 * STEPS)
    assert found["losses"][STEPS:] == pytest.approx(losses[STEPS:], rel=1e-5)
    for name, expected in parameters.items():
        torch.testing.assert_close(found["whole"][name], expected, rtol=1e-4, atol=4e-6)


CLASSES = {"8x1": (8, 1), "4x2": (4, 2), "2x4": (2, 4), "1x8": (1, 8)}
TWO_RANKS = {"4x1": (4, 1), "2x2": (2, 2), "1x4": (1, 4)}


def train_every_class(path: Path, classes: dict[str, tuple[int, int]]) -> None:
    """Steps of the same eight sequences, however they are divided into micro-batches, rounds and ranks."""
    found = {}
    for precision in ("fp32", "bf16"):
        for name, (rows, rounds) in classes.items():
            for stage in (1, 2, 3):
                settings = dataclasses.replace(phase(stage, rows), precision=precision)
                engine = start_engine(model(), settings, world_size=int(os.environ["WORLD_SIZE"]))
                assert engine.gradient_accumulation_steps() == rounds
                losses = deepspeed_steps(engine, range(STEPS), rows)
                state = optimizer_state.gather_training_state(engine)
                found[f"{precision}/{stage}/{name}"] = {"losses": losses, "state": state}
                engine.destroy()
    save(path, found)
    leave_process_group()


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(900)
def test_gradients_do_not_depend_on_how_a_step_is_divided(tmp_path: Path) -> None:
    """Plain AdamW's weights in fp32; in bf16 they are within its rounding of those of fp32, and of each other."""
    run_on_ranks(train_every_class, 1, tmp_path / "1.pt", CLASSES)
    run_on_ranks(train_every_class, 2, tmp_path / "2.pt", TWO_RANKS)
    _, expected = plain_adamw(STEPS)
    start = {f"master.{name}": value.detach() for name, value in model().named_parameters()}
    for ranks, classes in ((1, CLASSES), (2, TWO_RANKS)):
        trained = torch.load(tmp_path / f"{ranks}.pt", weights_only=True)
        assert len(trained) == 2 * 3 * len(classes)
        for name, each in trained.items():
            for key, value in expected.items():
                found = each["state"][key]
                if name.startswith("fp32"):
                    torch.testing.assert_close(found, value, rtol=1e-4, atol=4e-6, msg=f"{ranks} {name} {key}")
                else:
                    moved = (value - start[key]).norm()
                    assert (found - value).norm() < 0.15 * moved, (ranks, name, key)


def sum_bf16_gradients(path: Path) -> None:
    """One micro-batch on each of two ranks: the gradients that ZeRO steps with, and the mean of those of each rank."""
    found: dict[str, Any] = {}
    rank = int(os.environ["RANK"])
    tokens, positions, labels = (each[4 * rank : 4 * rank + 4] for each in data(0))
    # A power of two, which rounds nothing.
    scale = 1 / 64
    join_process_group()
    alone = model()
    for parameter in alone.parameters():
        # Buffers stay in fp32, as DeepSpeed leaves them.
        parameter.data = parameter.data.bfloat16()
    (alone(tokens, positions, labels)[0] * scale).backward()
    expected = {}
    for name, each in alone.named_parameters():
        assert each.grad is not None
        expected[name] = sum_over_ranks(each.grad.float()) / 2
    for stage in (1, 2, 3):
        settings = dataclasses.replace(
            phase(stage, 4), precision="bf16", optimizer=OptimizerConfig(gradient_clipping=0.0, betas=(0.5, 0.95))
        )
        engine = start_engine(model(), settings, world_size=2)
        loss = engine(tokens, positions, labels)[0]
        engine.backward(loss * scale)
        optimizer_state.base_optimizer(engine).guard.begin(float(loss))
        engine.step()
        state = optimizer_state.gather_training_state(engine)
        # After one step the first moment is half of the gradient.
        found[str(stage)] = {name: (2 * state[f"exp_avg.{name}"], value) for name, value in expected.items()}
        engine.destroy()
    save(path, found)
    leave_process_group()


def test_bf16_gradients_are_added_up_over_ranks_in_fp32(tmp_path: Path) -> None:
    run_on_ranks(sum_bf16_gradients, 2, tmp_path / "sums.pt")
    for stage, gradients in torch.load(tmp_path / "sums.pt", weights_only=True).items():
        for name, (found, expected) in gradients.items():
            assert not torch.equal(expected, expected.bfloat16().float())
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=0, msg=f"ZeRO {stage}, {name}")
