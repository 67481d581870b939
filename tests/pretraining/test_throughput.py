"""Utilization by a stated convention, against published numbers; a peak that is not known is not guessed."""

import time

import pytest

from pipeline.core.errors import ConfigError
from pipeline.pretraining.config import PhaseConfig
from pipeline.pretraining.throughput import StepTimes, hardware_flops_per_token, model_flops_per_token, peak_flops_of
from tests.settings import model_shape, stage_config

MODEL = model_shape(vocab_size=512, hidden_size=64, layers=2, attention_heads=4, key_value_heads=2, mlp_hidden_size=128)


def phase(**changes: object) -> PhaseConfig:
    """A phase of ten steps of 128 tokens."""
    settings = {"model": MODEL, "tokens": 1280, "context": 32, "sequences_per_step": 4, "mixture": {"code": 1.0}}
    return stage_config("phase1", **{**settings, **changes})


def test_flops_are_counted_matrix_by_matrix() -> None:
    width, context = MODEL.hidden_size, 32
    keys = MODEL.key_value_heads * MODEL.head_size
    block = 2 * width * width + 2 * width * keys + 3 * width * MODEL.mlp_hidden_size
    # A product of a vector and an m × n matrix is 2mn; scores and their sum of values are 2 · context · width each.
    forward = MODEL.layers * (2 * block + 4 * context * width) + 2 * MODEL.vocab_size * width
    norms = 6 * (2 * MODEL.layers + 1) * width
    assert model_flops_per_token(MODEL, context) == 3 * forward + norms
    blocks_again = forward - 2 * MODEL.vocab_size * width
    recomputed = 3 * forward + norms + blocks_again + norms / 3
    assert hardware_flops_per_token(MODEL, context, True) == pytest.approx(recomputed)
    assert hardware_flops_per_token(MODEL, context, False) == model_flops_per_token(MODEL, context)


def test_granites_own_rate_is_a_fifth_of_the_peak() -> None:
    """Granite 3.0 8B made 4,006 tokens/s on each H100 (report, table 7): 20 % counting parameters alone, 23 % here."""
    granite = model_shape(
        vocab_size=49_152, hidden_size=4096, layers=40, attention_heads=32, key_value_heads=8, mlp_hidden_size=12_800
    )
    peak = peak_flops_of("NVIDIA H100 80GB HBM3")
    assert peak is not None
    assert 4006 * model_flops_per_token(granite, 4096) / peak == pytest.approx(0.23, abs=0.015)


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H100 NVL", 835e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA B200", 2250e12),
        ("NVIDIA GB200", 2500e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("AMD Instinct MI300X", 1307e12),
        ("NVIDIA GeForce RTX 4090", None),
        ("NVIDIA A10G", None),
        ("", None),
    ],
)
def test_peaks_are_known_or_not_guessed(name: str, peak: float | None) -> None:
    assert peak_flops_of(name) == peak


def test_rates_and_shares() -> None:
    times = StepTimes()
    assert times.metrics(phase(), 1, None) == {}
    for _ in range(4):
        times.start_step()
        time.sleep(0.002)
        times.data_ready()
        time.sleep(0.002)
        times.end_step()
    found = times.metrics(phase(), 2, 1e12)
    rate = found["throughput/tokens_per_second"]
    assert 0 < rate <= 128 / 0.004
    assert 0 < found["throughput/data_wait_share"] < 1
    percentiles = [found[f"throughput/step_seconds_p{name}"] for name in (50, 90, 99)]
    assert 0.004 <= percentiles[0] <= percentiles[1] <= percentiles[2]
    share = found["throughput/model_flops_utilisation"]
    assert share == pytest.approx(rate / 2 * model_flops_per_token(MODEL, 32) / 1e12)
    assert found["throughput/hardware_flops_utilisation"] == share
    recomputed = times.metrics(phase(gradient_checkpointing=True), 2, 1e12)
    assert recomputed["throughput/hardware_flops_utilisation"] > share
    assert not any("utilisation" in name for name in times.metrics(phase(), 2, None))


def test_a_peak_is_a_positive_number() -> None:
    with pytest.raises(ConfigError, match=r"peak_flops=-1: set it above 0"):
        phase(peak_flops=-1)
