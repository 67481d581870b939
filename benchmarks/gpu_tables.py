"""Tables of `pretraining.py` on this device: speed at two shapes, and the longest context that fits."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from pretraining import COMPILED, OURS, compare, longest, parse

LARGE = 100 * 2**30
"""Memory in bytes of which an H200 has more and an H100 less."""
DRY = ("--layers", "1", "--steps", "4", "--sequences", "1", "--rounds", "1", "--threads", "1")


def speed(dry: bool, work: Path, packed: Path | None) -> Iterator[dict[str, Any] | str]:
    """This engine with eager and with compiled blocks, at contexts of 4,096 tokens in bf16."""
    systems = ("--systems", OURS, COMPILED)
    if dry:
        yield from rows("small", compare(parse([*DRY, "--context", "128", *systems[:2]])))
        return
    for shape, sequences in (("1b", 4), ("3b", 2)):
        chosen = [
            "--shape",
            shape,
            "--context",
            "4096",
            "--sequences",
            str(sequences),
            "--rounds",
            "1",
            "--steps",
            "10",
        ]
        # 3.4 billion parameters take 18 bytes each: an H100 has no room for their activations too.
        recompute = ["--recompute"] if shape == "3b" and memory() < LARGE else []
        name = f"{shape}, activations computed again" if recompute else shape
        yield from rows(name, compare(parse([*chosen, "--precision", "bf16", *recompute, *systems])))


def longest_context(dry: bool, work: Path, packed: Path | None) -> Iterator[dict[str, Any] | str]:
    """Contexts of the 8b shape, doubled until memory does not suffice: one sequence a step, of short documents."""
    if dry:
        yield from rows("small", longest(parse([*DRY, "--context", "128", "--longest", "256", "--mlp-tiles", "2"])))
        return
    layers = 20 if memory() >= LARGE else 10
    chosen = ["--shape", "8b", "--layers", str(layers), "--precision", "bf16", "--recompute", "--mlp-tiles", "8"]
    bounds = ["--context", "131072", "--longest", "1048576", "--steps", "2"]
    yield from rows(f"8b, {layers} layers", longest(parse([*chosen, *bounds])))


def memory() -> int:
    """Bytes of the GPU's memory."""
    return torch.cuda.get_device_properties(0).total_memory


def rows(shape: str, lines: Iterable[str]) -> Iterator[dict[str, Any] | str]:
    """The rows of a Markdown table as it comes, each with the name of the shape, and the text before it."""
    columns: list[str] = []
    for line in lines:
        cells = [cell.strip() for cell in line.strip()[1:-1].split("|")]
        if not line.startswith("|"):
            if line:
                yield line
        elif not columns:
            columns = cells
        elif set(line) != set("|-"):
            yield {"shape": shape, **dict(zip(columns, cells, strict=True))}
