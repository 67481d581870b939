"""What the command line of an export says; imports nothing heavy, as every command reads it."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.errors import UserError

FORMATS = ("gguf", "fp8", "onnx")
"""For llama.cpp, vLLM and ONNX Runtime."""
TYPES = ("q8_0", "bf16", "f16", "f32")
"""Number formats of a GGUF file that the converter writes; llama.cpp's `llama-quantize` makes smaller ones of them."""
TOKENS = 512
"""Held-out tokens of each domain that the loss is measured on, unless another number is asked for."""


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What the command line says of an export."""

    format: str
    """One of `FORMATS`."""
    output: Path | None = None
    """The folder to write; None is one that `Source.place` holds."""
    type: str = TYPES[0]
    """Number format of a GGUF file's weights."""
    texts: Path | None = None
    """Text file to measure the loss on, in place of the run's held-out tokens."""
    tokens: int = TOKENS
    """Tokens to measure on: of each domain, or of `texts`."""
    sign: Path | None = None
    """Private key to sign the folder with."""
    sbom: bool = False
    """Whether to add a bill of materials."""

    def __post_init__(self) -> None:
        if self.tokens < 2:
            raise UserError(f"--tokens {self.tokens}: set 2 or more, as the first is not predicted")


def add_options(command: argparse.ArgumentParser) -> None:
    """Adds the arguments and options of `fivephase export` to its parser."""
    command.add_argument("format", choices=FORMATS, help="for llama.cpp, vLLM or ONNX Runtime")
    command.add_argument("--output", metavar="DIR", type=Path, help="folder to write (a new one in the run's exports/)")
    command.add_argument("--type", choices=TYPES, default=TYPES[0], help="numbers of a GGUF file (%(default)s)")
    command.add_argument("--texts", metavar="FILE", type=Path, help="text to measure the loss on (the run's held-out)")
    command.add_argument(
        "--tokens",
        metavar="N",
        type=int,
        default=TOKENS,
        help="held-out tokens of each domain to measure on (%(default)s)",
    )
    command.add_argument("--sign", metavar="KEY", type=Path, help="sign the folder with this private key (PEM)")
    command.add_argument("--sbom", action="store_true", help="add a CycloneDX bill of materials")


def options_of(arguments: argparse.Namespace) -> ExportOptions:
    """The options in what the parser has read."""
    names = ExportOptions.__dataclass_fields__
    return ExportOptions(**{name: getattr(arguments, name) for name in names})
