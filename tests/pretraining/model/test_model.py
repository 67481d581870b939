"""The model: published sizes, µP, attention inside documents, the loss."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from transformers import AutoModelForCausalLM

from pipeline.control.compose import compose, typed
from pipeline.core.config import build
from pipeline.core.errors import CheckpointError
from pipeline.pretraining.data.stream import IGNORE_INDEX
from pipeline.pretraining.model.cross_entropy import LinearCrossEntropy
from pipeline.pretraining.model.model import (
    TrainingModel,
    build_model,
    check_shape,
    granite_config,
    initialize,
)
from pipeline.pretraining.model_config import ModelConfig
from tests.settings import model_shape

SHAPE = model_shape(
    vocab_size=64,
    hidden_size=64,
    layers=2,
    attention_heads=4,
    key_value_heads=2,
    mlp_hidden_size=96,
    base_width=16,
)
PUBLISHED = {
    "granite_4_1_3b": 3_402_836_480,
    "granite_4_1_8b": 8_380_551_168,
    "granite_4_1_30b": 28_865_728_512,
}


def training_model(chunk_tokens: int = 1000) -> TrainingModel:
    config = granite_config(SHAPE, 32, 10_000.0)
    config._attn_implementation = "sdpa"
    model = build_model(config)
    initialize(model, SHAPE, seed=3)
    return TrainingModel(model, chunk_tokens)


@pytest.mark.parametrize("scale", PUBLISHED)
def test_published_parameter_counts(scale: str) -> None:
    """IBM's disclosure files, to the last digit, by the formula and by building the model."""
    shape = build(ModelConfig, typed(compose([f"scale={scale}"])).model, "model")
    assert shape.parameters == PUBLISHED[scale]
    with torch.device("meta"):
        model = build_model(granite_config(shape, 4096, 10_000.0))
    assert sum(parameter.numel() for parameter in model.parameters()) == PUBLISHED[scale]


EXPERTS = {
    # Width, layers, heads, experts, billions of parameters in all and active (Granite 3.0 report, table 1).
    "1b_a400m": (1024, 24, 16, 32, 1.3, 0.4),
    "3b_a800m": (1536, 32, 24, 40, 3.3, 0.8),
}


@pytest.mark.parametrize("name", EXPERTS)
def test_published_sizes_of_experts(name: str) -> None:
    width, layers, heads, experts, billions, active = EXPERTS[name]
    shape = model_shape(
        vocab_size=49_155, hidden_size=width, layers=layers, attention_heads=heads, key_value_heads=8,
        mlp_hidden_size=512, experts=experts, experts_per_token=8,
    )  # fmt: skip
    with torch.device("meta"):
        model = build_model(granite_config(shape, 4096, 10_000.0))
    assert sum(parameter.numel() for parameter in model.parameters()) == shape.parameters
    assert shape.parameters == pytest.approx(billions * 1e9, rel=0.04)
    assert shape.active_parameters == pytest.approx(active * 1e9, rel=0.12)


def test_experts_load_as_they_were_and_are_balanced(tmp_path: Path) -> None:
    """Exported logits are those of training, and the loss has the published balance term."""
    shape = dataclasses.replace(SHAPE, experts=4, experts_per_token=2, router_loss=0.5)
    config = granite_config(shape, 32, 10_000.0)
    config._attn_implementation = "sdpa"
    model: Any = build_model(config)
    initialize(model, shape, seed=3)
    trained = TrainingModel(model, 1000)
    tokens, positions = torch.arange(24)[None] % 64, torch.tensor([[*range(10), *range(14)]])
    logits = trained(tokens, positions)
    model.save_pretrained(tmp_path, state_dict=model.state_dict())
    loaded: Any = AutoModelForCausalLM.from_pretrained(tmp_path)
    torch.testing.assert_close(loaded(tokens, position_ids=positions, use_cache=False).logits, logits)
    outputs = loaded(tokens, position_ids=positions, use_cache=False, output_router_logits=True)
    loss, token_losses = trained(tokens, positions, tokens)
    torch.testing.assert_close(loss, token_losses.sum() + 0.5 * outputs.aux_loss * tokens.numel())
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    with pytest.raises(ValueError, match="experts_per_token is 5 of 4 experts"):
        dataclasses.replace(SHAPE, experts=4, experts_per_token=5)


@pytest.mark.parametrize("sequences", [1, 2, 4])
def test_the_routers_gradient_does_not_depend_on_the_micro_batch(sequences: int) -> None:
    """Sequences of unlike content and unlike numbers of labels, by themselves or in company: the sum is one."""
    shape = dataclasses.replace(SHAPE, experts=4, experts_per_token=2, router_loss=5.0)
    config = granite_config(shape, 32, 10_000.0)
    config._attn_implementation = "sdpa"
    tokens = torch.stack([torch.arange(16) % (2 + 9 * row) for row in range(4)])
    positions = torch.arange(16).expand(4, 16)
    labels = tokens.clone()
    for row in range(4):
        labels[row, : 4 * row] = IGNORE_INDEX

    def gradients(size: int) -> dict[str, torch.Tensor]:
        model: Any = build_model(config)
        initialize(model, shape, seed=3)
        trained = TrainingModel(model, 1000)
        for rows in torch.arange(4).split(size):
            trained(tokens[rows], positions[rows], labels[rows])[0].backward()
        return {name: parameter.grad for name, parameter in model.named_parameters() if "router" in name}

    expected = gradients(1)
    assert len(expected) == 2
    for name, found in gradients(sequences).items():
        torch.testing.assert_close(found, expected[name], rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize(
    ("scale", "attention_multiplier", "logits_scaling"),
    [("granite_4_1_3b", 0.015625, 10), ("granite_4_1_8b", 0.0078125, 16)],
)
def test_published_multipliers(scale: str, attention_multiplier: float, logits_scaling: float) -> None:
    shape = build(ModelConfig, typed(compose([f"scale={scale}"])).model, "model")
    config = granite_config(shape, 4096, 10_000.0)
    assert (config.attention_multiplier, config.logits_scaling) == (attention_multiplier, logits_scaling)
    assert (config.embedding_multiplier, config.residual_multiplier) == (12, 0.22)


def test_initialization_follows_mup() -> None:
    for name, parameter in training_model().model.named_parameters():
        if parameter.ndim == 1:
            assert (parameter == 1).all()
        else:
            expected = 0.1 if "embed" in name else 0.1 / math.sqrt(4)
            assert parameter.std().item() == pytest.approx(expected, rel=0.1)


def test_attention_stays_inside_documents() -> None:
    """Changing a document changes no loss of another one in the same sequence."""
    model = training_model()
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(64, (2, 24), generator=generator)
    positions = torch.tensor([[*range(10), *range(14)], [*range(1), *range(16), *range(7)]])
    labels = torch.randint(64, (2, 24), generator=generator)
    before = model(tokens, positions, labels)[1]
    changed = tokens.clone()
    changed[0, :10] = (changed[0, :10] + 1) % 64
    changed[1, 1:17] = (changed[1, 1:17] + 1) % 64
    after = model(changed, positions, labels)[1]
    assert (before[0, :10] != after[0, :10]).all()
    torch.testing.assert_close(before[0, 10:], after[0, 10:], rtol=0, atol=0)
    torch.testing.assert_close(before[1, 17:], after[1, 17:], rtol=0, atol=0)
    assert (before[1, 2:17] != after[1, 2:17]).all()


def test_a_document_in_a_pack_equals_the_document_alone() -> None:
    model = training_model()
    tokens = torch.randint(64, (1, 24), generator=torch.Generator().manual_seed(0))
    packed = model(tokens, torch.tensor([[*range(10), *range(14)]]), tokens)[1]
    alone = model(tokens[:, 10:], torch.arange(14)[None], tokens[:, 10:])[1]
    torch.testing.assert_close(packed[:, 10:], alone, rtol=1e-5, atol=1e-5)


def test_chunked_loss_equals_cross_entropy_of_full_logits() -> None:
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(64, (2, 24), generator=generator)
    positions = torch.arange(24).expand(2, -1)
    labels = tokens.roll(-1, 1)
    labels[0, 5:9] = IGNORE_INDEX
    gradients = []
    for chunk in (7, 1000):
        model = training_model(chunk)
        loss, token_losses = model(tokens, positions, labels)
        assert token_losses.sum().item() == pytest.approx(loss.item())
        loss.backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
        logits = model.model(input_ids=tokens).logits
        expected = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE_INDEX, reduction="sum"
        )
        assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    for chunked, whole in zip(*gradients, strict=True):
        torch.testing.assert_close(chunked, whole, rtol=1e-4, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(
    tokens=st.integers(1, 9), chunk=st.integers(1, 10), z_loss=st.sampled_from([0.0, 1e-2]), ignored=st.integers(0, 9),
    scale=st.floats(0.1, 3), seed=st.integers(0, 99),
)  # fmt: skip
def test_loss_and_gradients_are_those_of_full_logits(
    tokens: int, chunk: int, z_loss: float, ignored: int, scale: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    hidden, weight = (torch.randn(rows, 5, generator=generator, dtype=torch.float64) for rows in (tokens, 11))
    labels = torch.randint(11, (tokens,), generator=generator)
    labels[:ignored] = IGNORE_INDEX
    one = [hidden.float().requires_grad_(), weight.float().requires_grad_()]
    other = [hidden.clone().requires_grad_(), weight.clone().requires_grad_()]
    loss, token_losses = LinearCrossEntropy.apply(*one, labels, chunk, z_loss)
    logits = other[0] @ other[1].t()
    expected = functional.cross_entropy(logits, labels, ignore_index=IGNORE_INDEX, reduction="none")
    whole = expected.sum() + z_loss * (logits.logsumexp(-1).square() * (labels != IGNORE_INDEX)).sum()
    (loss * scale).backward()
    (whole * scale).backward()
    torch.testing.assert_close(loss.double(), whole, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(token_losses.double(), expected, rtol=1e-5, atol=1e-5)
    for found, wanted in zip(one, other, strict=True):
        assert found.grad is not None
        assert wanted.grad is not None
        torch.testing.assert_close(found.grad.double(), wanted.grad, rtol=1e-4, atol=1e-5)


def test_a_checkpoint_of_another_shape_is_rejected() -> None:
    other = model_shape(
        vocab_size=64,
        hidden_size=64,
        layers=3,
        attention_heads=4,
        key_value_heads=2,
        mlp_hidden_size=96,
        base_width=16,
    )
    with pytest.raises(CheckpointError, match="num_hidden_layers is 3, model says 2"):
        check_shape(granite_config(other, 32, 1e4), SHAPE, "phase1")
