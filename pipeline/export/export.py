"""`fivephase export`: a model folder into another format, measured, described and published in one rename."""

import glob
import importlib.metadata
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from pipeline.core.artifact import provenance
from pipeline.core.errors import UserError
from pipeline.core.extras import install_command
from pipeline.core.files import files_below, sync, write_json
from pipeline.core.terminal import say
from pipeline.export.card import Texts, Weights, comparison, export_card, front_matter_of
from pipeline.export.fp8 import write_fp8
from pipeline.export.gguf_file import gguf_losses, write_gguf
from pipeline.export.held_out import HeldOutLoss, Passage, mean_loss, of_file, of_run, transformers_losses
from pipeline.export.onnx_graph import onnx_losses, write_onnx
from pipeline.export.options import ExportOptions
from pipeline.export.source import WEIGHTS, Source
from pipeline.release.bom import BOM, Materials, bill_of_materials, hashes_below
from pipeline.release.signing import sign, signer

MODEL_CARD = "MODEL_CARD.md"
"""What the card of the exported folder's source is called in it."""


@dataclass(frozen=True)
class Format:
    """A format, and how its card describes it."""

    title: str
    description: str
    usage: str
    """A code block; `{file}` is the weights' file."""
    library: str
    weights: tuple[str, ...]
    """Patterns of the files that hold the weights."""
    packages: tuple[str, ...]
    """What converts and measures, for the card: those that are installed are named with their version."""
    measured_by: str
    losses: Callable[[Path, Sequence[Passage]], list[list[float]] | None]


FORMATS = {
    "gguf": Format(
        title="GGUF",
        description="One file for llama.cpp and what is built on it, written by llama.cpp's own converter.",
        usage="```\nllama-server --jinja -m {file}\n```",
        library="gguf",
        weights=("*.gguf",),
        packages=("xllamacpp", "transformers", "torch"),
        measured_by="llama.cpp",
        losses=gguf_losses,
    ),
    "fp8": Format(
        title="FP8",
        description="Weights in 8-bit floating point (e4m3) with a scale for each row; activations are scaled for each "
        "token as they come. The scheme is compressed-tensors' FP8_DYNAMIC; the output layer keeps its precision.",
        usage="```\nvllm serve path/to/this/folder\n```",
        library="transformers",
        weights=("*.safetensors",),
        packages=("compressed-tensors", "transformers", "torch"),
        measured_by="transformers, which rounds weights and activations as the format says "
        "and multiplies in 16 or 32 bits",
        losses=transformers_losses,
    ),
    "onnx": Format(
        title="ONNX",
        description="One graph with a key and value cache for ONNX Runtime, in 32 bits; batch and length are variable.",
        usage="```python\nfrom transformers.exporters import ExportedModel\n\n"
        'model = ExportedModel.from_pretrained("path/to/this/folder")\n```',
        library="onnx",
        weights=("*.onnx", "*.onnx.data"),
        packages=("onnx", "onnxscript", "onnxruntime", "transformers", "torch"),
        measured_by="ONNX Runtime",
        losses=onnx_losses,
    ),
}


def export_model(source: Source, options: ExportOptions, say: Callable[[str], None] = say) -> Path:
    """Writes the folder of an export, which appears whole or not at all.

    Args:
        source: the model.
        options: format, place and extras.
        say: takes a line for each step.

    Returns:
        The folder.

    Raises:
        UserError: if the folder exists, or a package, key or text is missing; nothing is written then.
        ArtifactError: if the model cannot be converted or measured.
    """
    chosen = FORMATS[options.format]
    label = f"{options.format}-{options.type}" if options.format == "gguf" else options.format
    output = (options.output or source.place / f"{source.name}-{label}").absolute()
    if output.exists():
        raise UserError(f"{output}: exists; remove it, or name another folder with --output")
    signing = signer(options.sign) if options.sign else None
    passages, what = _passages(source, options)
    _remove_leftovers(output)
    staging = output.parent / f".{output.name}.{os.getpid()}"
    # The bill of materials and the signature hold the folder's name: it has the last one from the beginning.
    folder = staging / output.name
    try:
        folder.mkdir(parents=True)
        say(f"{source.folder} to {options.format}")
        _copy(source.folder, folder, options.format)
        _write(source, folder, options)
        original, exported, texts = _measure(source, folder, chosen, options, passages, what, say)
        versions = {"fivephase": provenance()["packages"]["fivephase"], **_versions(chosen.packages)}
        matter = front_matter_of(source.folder / "README.md")
        weights = sorted(path.name for pattern in chosen.weights for path in folder.glob(pattern))
        card = export_card(
            f"{source.name}, {chosen.title}",
            chosen.description,
            chosen.usage.format(file=weights[0]),
            chosen.library,
            original,
            exported,
            texts,
            versions,
            matter,
        )
        (folder / "README.md").write_text(card, encoding="utf-8")
        if options.sbom:
            write_json(folder / BOM, _bill(source, folder, matter.get("license"), versions))
        if signing is not None:
            sign(signing, folder)
        for path in files_below(folder):
            path.chmod(0o644)
            sync(path)
        folder.rename(output)
        sync(output.parent)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    say(comparison(original, exported, texts))
    return output


def _bill(source: Source, folder: Path, license: str | None, versions: dict[str, str]) -> dict[str, Any]:
    """The bill of materials of an export that has all its files."""
    materials = Materials(
        name=folder.name,
        architecture=source.architecture,
        license=license,
        files=hashes_below(folder),
        stages=source.stages,
        datasets=source.datasets,
        packages=[*provenance()["packages"].items(), *versions.items()],
    )
    return bill_of_materials(materials)


def _remove_leftovers(output: Path) -> None:
    """Removes what killed exports to the same folder have left."""
    for left in output.parent.glob(f".{glob.escape(output.name)}.*"):
        if left.suffix[1:].isdecimal() and not psutil.pid_exists(int(left.suffix[1:])):
            shutil.rmtree(left, ignore_errors=True)


def _copy(source: Path, folder: Path, kind: str) -> None:
    """Copies what holds for the export too; a GGUF file has its own tokenizer, so that papers alone go beside it."""
    papers = [*source.glob("LICENSE*"), *source.glob("data_disclosure.json")]
    weights = {path for pattern in WEIGHTS for path in source.glob(pattern)}
    others = [path for path in source.iterdir() if path.is_file() and path not in weights and path.name != "README.md"]
    for path in papers if kind == "gguf" else others:
        shutil.copyfile(path, folder / path.name)
    if (source / "README.md").is_file():
        shutil.copyfile(source / "README.md", folder / MODEL_CARD)


def _write(source: Source, folder: Path, options: ExportOptions) -> None:
    match options.format:
        case "gguf":
            write_gguf(source.folder, folder, source.name, options.type)
        case "fp8":
            write_fp8(source.folder, folder)
        case "onnx":
            write_onnx(source.folder, folder)


def _passages(source: Source, options: ExportOptions) -> tuple[list[Passage], str]:
    """What to measure on, and how the card calls it; nothing if nothing is known."""
    # llama.cpp holds a model to its context, in which the token that is asked for has to fit as well.
    tokens = options.tokens if source.context is None else min(options.tokens, source.context - 1)
    if options.texts is not None:
        return of_file(options.texts, source.folder, tokens), f"the beginning of {options.texts.name}"
    if source.tokens is None:
        return [], ""
    passages = of_run(source.tokens, tokens)
    domains = len({each.domain for each in passages})
    return passages, f"the first {tokens:,} held-out ones of each of {domains} domains of the model's run"


def _measure(
    source: Source,
    folder: Path,
    chosen: Format,
    options: ExportOptions,
    passages: Sequence[Passage],
    what: str,
    say: Callable[[str], None],
) -> tuple[Weights, Weights, Texts]:
    before: HeldOutLoss | None = None
    after: HeldOutLoss | None = None
    unmeasured = "the model belongs to no run, and no text was given with --texts"
    if passages:
        say(f"measuring the loss of both on {what}")
        losses = chosen.losses(folder, passages)
        before = mean_loss(passages, transformers_losses(source.folder, passages))
        after = mean_loss(passages, losses) if losses is not None else None
        unmeasured = f"llama.cpp's runtime is not installed (`{install_command('gguf')}`)"
    size = sum(path.stat().st_size for pattern in chosen.weights for path in folder.glob(pattern))
    precision = str(source.config.get("dtype") or source.config.get("torch_dtype") or "")
    original = Weights(source.name, precision, source.weight_bytes, before)
    kind = options.type if options.format == "gguf" else {"fp8": "float8_e4m3", "onnx": "float32"}[options.format]
    exported = Weights("this export", kind, size, after)
    by = f"{what}, by {chosen.measured_by}"
    return original, exported, Texts(by, unmeasured)


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
