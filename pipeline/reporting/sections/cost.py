"""What the run cost: time, tokens, FLOPs, memory, energy and hardware, over all attempts."""

from __future__ import annotations

from pipeline.reporting.blocks import Block, Section, Table, Text, duration, number
from pipeline.reporting.run_data import RunData, StageData

NOT_KNOWN = "not known"
JOULES_PER_KWH = 3.6e6


def flops_per_token(stage: StageData) -> float | None:
    """Model FLOPs of a token, as the stage measured its speed in both; None where it did not."""
    rate = stage.metrics.get("throughput/tokens_per_second")
    flops = stage.metrics.get("throughput/model_flops_per_second_and_rank")
    if not rate or flops is None or stage.manifest is None:
        return None
    return flops * stage.manifest.world_size / rate


def flops(stage: StageData) -> float | None:
    """Model FLOPs of all attempts of a stage; None where they are not known."""
    each = flops_per_token(stage)
    if each is None or stage.manifest is None:
        return None
    return each * (stage.manifest.tokens + stage.usage.repeated_tokens)


def joules(stage: StageData) -> float | None:
    """Energy of a stage as far as there were counters of it; None without any."""
    known = [each for each in (stage.usage.accelerator_joules, stage.usage.processor_joules) if each is not None]
    return sum(known) if known else None


def total_joules(run: RunData) -> float | None:
    """Energy of all stages that ran; None if that of one is not known."""
    each = [joules(stage) for stage in run.stages if stage.seconds]
    known = [value for value in each if value is not None]
    return sum(known) if known and len(known) == len(each) else None


def hardware(run: RunData) -> list[str]:
    """The machines that stages ran on, each once."""
    return list(dict.fromkeys(name for stage in run.stages for name in stage.usage.hardware))


def cost(run: RunData) -> Section:
    """A row for every stage that ran, and the sums."""
    ran = [stage for stage in run.stages if stage.seconds]
    known_flops = [each for stage in ran if (each := flops(stage)) is not None]
    rows = [_row(stage) for stage in ran]
    energy = total_joules(run)
    tokens = sum(stage.manifest.tokens for stage in ran if stage.manifest)
    rows.append(
        (
            "all",
            "",
            duration(sum(stage.seconds for stage in ran)),
            number(tokens),
            number(sum(stage.usage.repeated_tokens for stage in ran)),
            "",
            f"{sum(known_flops):.3g}" if known_flops else NOT_KNOWN,
            "",
            _energy(energy),
        )
    )
    header = ("stage", "attempts", "time", "tokens", "trained again", "tokens/s", "FLOPs", "memory, GiB", "energy, kWh")
    blocks: list[Block] = [Table("Cost of each stage, over all attempts", header, rows)]
    blocks.append(Text(f"Hardware: {'; '.join(hardware(run)) or NOT_KNOWN}."))
    blocks.append(
        Text(
            "FLOPs are those of the model in pretraining, by the convention of PaLM; those of post-training are not "
            "known. Energy is what the counters of the first machine say, of its GPUs (NVML, with the package "
            "nvidia-ml-py) and of its processor packages (RAPL, where they may be read); without both it is not known."
        )
    )
    return Section("cost", "Cost", blocks)


def _row(stage: StageData) -> tuple[str, ...]:
    manifest, used = stage.manifest, stage.usage
    work = flops(stage)
    peak = manifest.peak_memory_bytes if manifest else 0
    return (
        stage.name,
        number(used.attempts) if used.attempts else NOT_KNOWN,
        duration(stage.seconds),
        number(manifest.tokens) if manifest and manifest.tokens else "",
        number(used.repeated_tokens) if used.repeated_tokens else "",
        number(stage.metrics.get("throughput/tokens_per_second")) if stage.kind == "pretrain" else "",
        f"{work:.3g}" if work is not None else NOT_KNOWN if stage.kind == "pretrain" else "",
        f"{peak / 2**30:.2f}" if peak else NOT_KNOWN,
        _energy(joules(stage)),
    )


def _energy(found: float | None) -> str:
    return NOT_KNOWN if found is None else f"{found / JOULES_PER_KWH:.3g}"
