"""How long training stands still for a resumable checkpoint, written in place and by way of a fast folder.

    python benchmarks/checkpoints.py --write benchmarks/checkpoints.md

The share of time is computed for IBM's published interval of 12,500 steps (their phase-1 configuration) and for this
project's default of 1,000, with the step time of the same run.
"""

import argparse
import dataclasses
import platform
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import torch
from pretraining import SHAPES, model_of, phase_of, write_tokens

from pipeline.core.files import files_below
from pipeline.pretraining.data.stream import TokenStream
from pipeline.pretraining.engine.engine import join_process_group, leave_process_group, start_engine
from pipeline.pretraining.engine.step_checkpoints import StepCheckpoints
from pipeline.pretraining.engine.step_guard import StepGuard
from pipeline.pretraining.model.model import build_training_model

INTERVALS = (12_500, 1_000)
STEPS, SAVES = 4, 3


def main() -> None:
    """Measures and prints or writes the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--folder", type=Path, help="where checkpoints go; a temporary folder if not given")
    parser.add_argument("--staging", default="/dev/shm", help="fast folder")
    parser.add_argument("--write", type=Path, help="file to write the table to")
    options = parser.parse_args()
    settings = argparse.Namespace(
        shape=options.shape, layers=None, context=512, sequences=4, rounds=1, steps=STEPS, precision="fp32",
        recompute=False, mlp_tiles=1,
    )  # fmt: skip
    phase = phase_of(settings, compiled=False)
    join_process_group()
    engine = start_engine(build_training_model(model_of(phase), phase), phase, 1)
    optimizer: object = engine.optimizer
    guard: StepGuard = optimizer.optimizer.guard  # type: ignore[attr-defined]
    seconds: dict[str, list[float]] = {"step": [], "in place": [], "staged": []}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        write_tokens(Path(name) / "tokens", phase.shape.vocab_size, 200_000)
        stream = TokenStream(Path(name) / "tokens", phase.mixture, phase.context, seed=0)
        for step in range(STEPS):
            batch = stream.read(step * 4, 4)
            start = time.perf_counter()
            loss, _ = engine(*(torch.from_numpy(each) for each in (batch.tokens, batch.positions, batch.labels)))
            engine.backward(loss / batch.labels.size)
            guard.begin(1.0)
            engine.step()
            seconds["step"].append(time.perf_counter() - start)
        for kind, staging in (("in place", None), ("staged", options.staging)):
            chosen = dataclasses.replace(phase, checkpoint_staging=staging)
            checkpoints = StepCheckpoints(Path(name) / kind / "state" / "steps", chosen, 0)
            for save in range(SAVES):
                start = time.perf_counter()
                checkpoints.save(engine, save + 1, {})
                seconds[kind].append(time.perf_counter() - start)
                checkpoints.finalize()
        size = sum(path.stat().st_size for path in files_below(Path(name) / "staged" / "state" / "steps" / str(SAVES)))
    step = statistics.median(seconds["step"])
    lines = [
        f"{phase.shape.parameters / 1e6:,.1f}M parameters, {size / 1e6:,.0f} MB a checkpoint, a step of "
        f"{phase.tokens_per_step:,} tokens takes {step:.2f} s; {platform.machine()}, "
        f"Python {platform.python_version()}, torch {version('torch')}, deepspeed {version('deepspeed')}.",
        "",
        f"| written | stands still, s | MB/s | {' | '.join(f'share at every {each:,} steps' for each in INTERVALS)} |",
        "|---|---|---|---|---|",
    ]
    for kind in ("in place", "staged"):
        stall = statistics.median(seconds[kind])
        shares = " | ".join(f"{100 * stall / (each * step):.4f} %" for each in INTERVALS)
        lines.append(f"| {kind} | {stall:.2f} | {size / stall / 1e6:,.0f} | {shares} |")
    table = "\n".join(lines)
    print(table)
    if options.write:
        options.write.write_text(f"# Checkpoints inside a phase\n\n{table}\n")
    leave_process_group()


if __name__ == "__main__":
    main()
