"""This engine, Hugging Face's Trainer with DeepSpeed, and a bare torch loop: the same model and data, in one run.

    python benchmarks/pretraining.py --write benchmarks/pretraining.md
    python benchmarks/pretraining.py --shape 1b --context 4096 --sequences 4 --precision bf16    on a GPU
    python benchmarks/pretraining.py --shape 8b --layers 20 --precision bf16 --recompute --mlp-tiles 8 --longest 1048576

Each system trains in a process of its own, one after the other. Model FLOPs are those of
pipeline.pretraining.throughput; the rate they are held against is that of a product of two square matrices, measured
in the same run, and on a known GPU its peak too (MFU). With --longest this engine alone trains on one sequence a step,
of a context that is doubled until memory does not suffice.
"""

import argparse
import dataclasses
import hashlib
import itertools
import json
import platform
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy
import torch

from pipeline.control.compose import compose, typed
from pipeline.core.config import build
from pipeline.core.context import StageContext
from pipeline.core.files import write_json
from pipeline.pretraining.config import PhaseConfig
from pipeline.pretraining.data.stream import TokenStream
from pipeline.pretraining.engine.distributed import device
from pipeline.pretraining.engine.engine import (
    join_process_group,
    leave_process_group,
    prepare_process_group,
    start_engine,
)
from pipeline.pretraining.engine.step_checkpoints import StepCheckpoints
from pipeline.pretraining.model.model import build_model, build_training_model, granite_config, initialize
from pipeline.pretraining.model_config import ModelConfig
from pipeline.pretraining.schedules import schedule_of
from pipeline.pretraining.throughput import model_flops_per_token, rank_peak_flops
from pipeline.pretraining.trainer import Trainer

GRANITE = {
    size: build(ModelConfig, typed(compose([f"scale=granite_4_1_{size}"])).model, "model") for size in ("3b", "8b")
}
SHAPES = {
    "small": dataclasses.replace(
        GRANITE["8b"],
        vocab_size=8192, hidden_size=384, layers=6, attention_heads=6, key_value_heads=2, mlp_hidden_size=1152,
    ),
    "1b": dataclasses.replace(
        GRANITE["8b"], hidden_size=2048, layers=20, attention_heads=16, key_value_heads=4, mlp_hidden_size=4096
    ),
    **GRANITE,
}  # fmt: skip
"""A small one for CPU, and Granite's (4.0-1B with half its layers, 4.1-3B, 4.1-8B)."""
HUGGING_FACE, OURS, COMPILED = "Hugging Face Trainer, DeepSpeed ZeRO-1", "this engine", "this engine, compiled"
SYSTEMS = (HUGGING_FACE, "bare torch loop", OURS, COMPILED)
"""Hugging Face first: the others are held against it."""
RATE, WARM = 1e-4, 3
NO_MEMORY = ("OutOfMemoryError", "can't allocate memory")
"""What torch says on a GPU and on a CPU."""
CELLS = "tokens/s | model GFLOP/s | share of the matrix product | MFU | peak memory, GiB"
DOCUMENT = 600
"""Tokens of a document on average."""


def write_shard(directory: Path, ids: numpy.ndarray, ends: numpy.ndarray) -> dict[str, dict[str, Any]]:
    """The tokens of one domain, the same for training and held out: what `index.json` says of them."""
    directory.mkdir(parents=True)
    described = {}
    for split in ("train", "validation"):
        ids.tofile(directory / f"{split}.ds")
        ends.tofile(directory / f"{split}.ds.index")
        digest = hashlib.sha256(ids.tobytes()).hexdigest()
        described[split] = {"tokens": len(ids), "documents": len(ends), "sha256": digest}
    return described


def write_tokens(directory: Path, vocabulary: int, tokens: int) -> None:
    """Shards of random tokens in documents of random length, in the form of the tokenize stage."""
    generator = numpy.random.Generator(numpy.random.Philox(0))
    kind = "<u2" if vocabulary <= 65_535 else "<u4"
    ids = generator.integers(1, vocabulary, tokens).astype(kind)
    ends = numpy.cumsum(generator.integers(1, 2 * DOCUMENT, 4 * tokens // DOCUMENT)).astype("<u8")
    ends = numpy.append(ends[ends < tokens], numpy.uint64(tokens)).astype("<u8")
    ids[ends.astype(numpy.int64) - 1] = 0
    write_json(directory / "index.json", {"dtype": kind.replace("<u2", "uint16").replace("<u4", "uint32"),
                                          "domains": {"code": write_shard(directory / "code", ids, ends)}})  # fmt: skip


def phase_of(options: argparse.Namespace, compiled: bool) -> PhaseConfig:
    """The phase that is trained."""
    shape = dataclasses.replace(SHAPES[options.shape], layers=options.layers or SHAPES[options.shape].layers)
    step = options.sequences * options.rounds
    return build(PhaseConfig, {
        "model": dataclasses.asdict(shape), "tokens": options.steps * step * options.context,
        "context": options.context, "rope_theta": 10_000_000.0,
        "sequences_per_step": step, "sequences_per_rank": options.sequences,
        "mixture": {"code": 1}, "max_epochs": 1e9, "learning_rate": {"law": "constant", "start": RATE},
        "precision": options.precision, "attention": "flex_attention" if torch.cuda.is_available() else "sdpa",
        "compile": compiled, "gradient_checkpointing": options.recompute, "mlp_tiles": options.mlp_tiles,
        "save_every_minutes": None,
        "deepspeed": {"zero_optimization": {"stage": 1}},
    }, "phase")  # fmt: skip


def model_of(phase: PhaseConfig) -> Any:
    """The same weights for all, made on the GPU if there is one: a CPU takes a minute for billions."""
    assert phase.rope_theta is not None
    config = granite_config(phase.shape, phase.context, phase.rope_theta)
    config._attn_implementation = phase.attention
    with device():
        model = build_model(config)
    initialize(model, phase.shape, seed=1)
    return model


def trainer_of(phase: PhaseConfig, tokens: Path, work: Path) -> Trainer:
    """This engine's trainer, in a process group that was joined; `work` has its step checkpoints, if it saves any."""
    context = StageContext.for_test("phase", phase, {}, work)
    checkpoints = StepCheckpoints(work / "state" / "steps", phase, 0)
    engine = start_engine(build_training_model(model_of(phase), phase), phase, 1)
    stream = TokenStream(tokens, phase.mixture, phase.context, seed=0)

    def held_out() -> Any:
        raise AssertionError("no validation inside")

    return Trainer(context, engine, stream, schedule_of(phase, 0, None), checkpoints, held_out, 0)


def ours(phase: PhaseConfig, tokens: Path, work: Path) -> list[float]:
    """Seconds of each step of this engine's trainer."""
    join_process_group()
    trainer = trainer_of(phase, tokens, work)
    trainer.train()
    leave_process_group()
    return trainer.times.seconds


def batches(phase: PhaseConfig, tokens: Path) -> Any:
    """Rows as a plain loader gives them: the same sequences in the same order."""
    stream = TokenStream(tokens, phase.mixture, phase.context, seed=0)
    for start in range(phase.steps * phase.sequences_per_step):
        batch = stream.read(start, 1)
        # Hugging Face's loss shifts labels itself: the label of a token is that token, but for a document's first.
        labels = numpy.where(batch.positions[0] == 0, -100, batch.tokens[0])
        yield {"input_ids": batch.tokens[0], "position_ids": batch.positions[0], "labels": labels}


def bare(phase: PhaseConfig, tokens: Path, work: Path) -> list[float]:
    """Seconds of each step of a loop without any library: full logits, torch's AdamW."""
    model = model_of(phase)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.1)
    rows, seconds = batches(phase, tokens), []
    rounds = phase.sequences_per_step // phase.sequences_per_rank
    for _ in range(phase.steps):
        start = time.perf_counter()
        for _ in range(rounds):
            chosen = [next(rows) for _ in range(phase.sequences_per_rank)]
            inputs = {
                key: torch.from_numpy(numpy.stack([row[key] for row in chosen])).to(device()) for key in chosen[0]
            }
            with torch.autocast(device().type, torch.bfloat16, enabled=phase.precision == "bf16"):
                loss = model(**inputs, use_cache=False).loss
            (loss / rounds).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0).item()
        optimizer.step()
        optimizer.zero_grad()
        seconds.append(time.perf_counter() - start)
    return seconds


def hugging_face(phase: PhaseConfig, tokens: Path, work: Path) -> list[float]:
    """Seconds of each step of transformers' Trainer under DeepSpeed."""
    from datasets import IterableDataset
    from transformers import Trainer as HuggingFaceTrainer
    from transformers import TrainerCallback, TrainingArguments

    prepare_process_group()
    marks: list[float] = []

    class Marks(TrainerCallback):
        def on_step_end(self, *arguments: Any, **named: Any) -> None:
            marks.append(time.perf_counter())

    arguments = TrainingArguments(
        output_dir=str(work), max_steps=phase.steps, per_device_train_batch_size=phase.sequences_per_rank,
        gradient_accumulation_steps=phase.sequences_per_step // phase.sequences_per_rank, learning_rate=RATE,
        lr_scheduler_type="constant", weight_decay=0.1, max_grad_norm=1.0, optim="adamw_torch", logging_steps=10,
        save_strategy="no", report_to="none", disable_tqdm=True, use_cpu=not torch.cuda.is_available(),
        bf16=phase.precision == "bf16", gradient_checkpointing=phase.gradient_checkpointing,
        deepspeed={
            "zero_optimization": {"stage": 1}, "zero_allow_untested_optimizer": True,
            "zero_force_ds_cpu_optimizer": False, "train_micro_batch_size_per_gpu": "auto",
            "gradient_accumulation_steps": "auto", "gradient_clipping": "auto", "bf16": {"enabled": "auto"},
        },
    )  # fmt: skip
    rows: Any = IterableDataset.from_generator(lambda: batches(phase, tokens))
    HuggingFaceTrainer(model=model_of(phase), args=arguments, train_dataset=rows, callbacks=[Marks()]).train()
    return [later - earlier for earlier, later in itertools.pairwise(marks)]


def matmul_rate(precision: str) -> float:
    """FLOP/s of the product of two square matrices, the best of some."""
    size = 8192 if device().type == "cuda" else 2048
    one = torch.randn(size, size, device=device(), dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    best = float("inf")
    for _ in range(12):
        start = time.perf_counter()
        product = one @ one
        float(product[0, 0])
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def typical(seconds: Sequence[float]) -> float:
    """The median without the first steps, which compile, allocate and warm caches; of few steps, the last."""
    return statistics.median(seconds[min(WARM, len(seconds) - 1) :])


def measure(system: str, options: argparse.Namespace) -> dict[str, float]:
    """One system, in this process: tokens per second and peak memory, of the device or of the process."""
    phase = phase_of(options, compiled=system.endswith("compiled"))
    run = {HUGGING_FACE: hugging_face, OURS: ours, COMPILED: ours}.get(system, bare)
    with tempfile.TemporaryDirectory() as name:
        write_tokens(Path(name) / "tokens", phase.shape.vocab_size, max(4 * phase.tokens_per_step, 200_000))
        seconds = run(phase, Path(name) / "tokens", Path(name) / "work")
    rate = phase.tokens_per_step / typical(seconds)
    of_process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    peak = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else of_process
    return {"tokens_per_second": rate, "memory": float(peak)}


def measure_apart(system: str, options: argparse.Namespace, *arguments: str) -> dict[str, float] | None:
    """One system in a process of its own, with these options and more; None where memory did not suffice."""
    command = [sys.executable, __file__, *options.arguments, *arguments, "--only", system]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == -signal.SIGKILL or (done.returncode and any(each in done.stderr for each in NO_MEMORY)):
        return None
    if done.returncode:
        sys.exit(f"{system}: {done.stderr[-3000:]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    print(system, *arguments, f"{found['tokens_per_second']:,.0f} tokens/s", file=sys.stderr)
    return found


def described(phase: PhaseConfig, options: argparse.Namespace, rate: float) -> str:
    """The model, the machine and the versions."""
    cpu = f"{platform.machine()}, {options.threads} threads"
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else cpu
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "deepspeed"))
    peak = rank_peak_flops(phase)
    return (
        f"{phase.shape.parameters / 1e6:,.1f}M parameters, {phase.precision}, micro-batches of "
        f"{phase.sequences_per_rank} in steps of {phase.sequences_per_step}; {name}, Python "
        f"{platform.python_version()}, {packages}. A matrix product runs at {rate / 1e9:,.0f} GFLOP/s"
        + (f", the peak is {peak / 1e9:,.0f}." if peak else ".")
    )


def cells(phase: PhaseConfig, found: dict[str, float], rate: float) -> str:
    """Those of a row that all tables have."""
    flops = found["tokens_per_second"] * model_flops_per_token(phase.shape, phase.context)
    peak = rank_peak_flops(phase)
    share = f"{100 * flops / peak:.0f} %" if peak else ""
    rates = f"{found['tokens_per_second']:,.0f} | {flops / 1e9:,.0f} | {100 * flops / rate:.0f} %"
    return f"{rates} | {share} | {found['memory'] / 2**30:.1f}"


def compare(options: argparse.Namespace) -> Iterator[str]:
    """A table of all systems at one context, line by line as they are measured."""
    phase = phase_of(options, compiled=False)
    rate, base = matmul_rate(options.precision), None
    yield from (f"Context {phase.context:,}: {described(phase, options, rate)}", "")
    yield from (f"| system | to Hugging Face | {CELLS} |", "|---|---|---|---|---|---|---|")
    for system in options.systems:
        found = measure_apart(system, options)
        if found is None:
            yield f"| {system} | memory does not suffice | | | | | |"
            continue
        base = found["tokens_per_second"] if system == HUGGING_FACE else base
        ratio = f"{found['tokens_per_second'] / base:.2f}" if base else ""
        yield f"| {system} | {ratio} | {cells(phase, found, rate)} |"


def longest(options: argparse.Namespace) -> Iterator[str]:
    """A table of contexts, each twice the one before, up to the longest that fits or `options.longest`."""
    options.sequences = options.rounds = 1
    rate, phase = matmul_rate(options.precision), phase_of(options, compiled=False)
    about = f"{'Activations computed again. ' if phase.gradient_checkpointing else ''}MLPs in {phase.mlp_tiles} parts."
    yield from (f"{described(phase, options, rate)} {about}", "")
    yield from (f"| context | {CELLS} |", "|---|---|---|---|---|---|")
    while options.context <= options.longest:
        one = ("--sequences", "1", "--rounds", "1", "--context", str(options.context))
        found = measure_apart(OURS, options, *one)
        if found is None:
            yield f"| {options.context:,} | memory does not suffice | | | | |"
            return
        yield f"| {options.context:,} | {cells(phase_of(options, compiled=False), found, rate)} |"
        options.context *= 2


def parse(arguments: list[str]) -> argparse.Namespace:
    """The options of a command line, with the command line as `arguments`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--layers", type=int, help="instead of the shape's")
    parser.add_argument("--context", type=int, default=512)
    parser.add_argument("--sequences", type=int, default=4, help="in a micro-batch")
    parser.add_argument("--rounds", type=int, default=2, help="micro-batches in a step")
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--recompute", action="store_true", help="activation checkpointing")
    parser.add_argument("--mlp-tiles", type=int, default=1, help="parts that this engine's MLPs take a sequence in")
    parser.add_argument("--systems", nargs="*", default=SYSTEMS)
    parser.add_argument("--longest", type=int, help="double the context up to this one, or up to the first too long")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    parser.add_argument("--write", type=Path, help="file to write the table to")
    return argparse.Namespace(**vars(parser.parse_args(arguments)), arguments=arguments)


def main() -> None:
    """Runs what the options say and prints or writes the table."""
    options = parse(sys.argv[1:])
    torch.set_num_threads(options.threads)
    if options.only:
        print(json.dumps(measure(options.only, options)))
        return
    lines = []
    for line in longest(options) if options.longest else compare(options):
        print(line, flush=True)
        lines.append(line)
    if options.write:
        text = "\n".join(lines)
        options.write.write_text(f"# Pretraining\n\n{text}\n")


if __name__ == "__main__":
    main()
