"""The files of a model that is imported: a folder, or a revision of the hub; described without loading torch."""

import json
import re
from pathlib import Path
from typing import Any

from xxhash import xxh3_128_hexdigest

import pipeline.tokenization
from pipeline.core.errors import ConfigError, DataError
from pipeline.core.files import xxh3_of
from pipeline.core.hub import hub_trouble

WHERE = "stages.import_model.config"
BUILT_IN_TEMPLATES = {
    # By its path: the module that saves tokenizers with it loads transformers.
    "granite": Path(str(pipeline.tokenization.__file__)).with_name("chat_template.jinja"),
    "plain": Path(__file__).with_name("plain.jinja"),
}
DOWNLOADED = ("*.safetensors", "*.json", "*.jinja", "*.txt", "tokenizer.model")
"""Patterns of files that are taken from the hub: no pickles, no code."""
NOT_DOWNLOADED = ("*/*", "consolidated*")
"""Of these, other formats of the same weights: folders, and Mistral's own."""
COMMIT = re.compile(r"[0-9a-f]{40}")
SAMPLED_BYTES = 4096
"""Bytes that are read from the middle of each tensor for the fingerprint."""


def template_file(name: str) -> Path:
    """The file of a chat template, by its built-in name or its path.

    Raises:
        ConfigError: if there is none.
    """
    path = BUILT_IN_TEMPLATES.get(name, Path(name).expanduser())
    if not path.is_file():
        known = " or ".join(BUILT_IN_TEMPLATES)
        raise ConfigError(f"{WHERE}.chat_template={name}: no such file, set {known}, or the path of a .jinja file")
    return path


def describe_template(name: str | None) -> str | None:
    """The hash of a chat template's text, None for the model's own.

    Raises:
        ConfigError: if it is not there.
    """
    return None if name is None else xxh3_of(template_file(name))


def describe_model(path: str, revision: str | None) -> dict[str, Any]:
    """What changes when a model does, for a fingerprint, without reading all of it.

    Of a folder it is the hash of each small file, and of each file of weights its size, the hash of its header, and
    that of some bytes of every tensor. Of the hub it is name and commit.

    Raises:
        ConfigError: for a folder that is not there, has no weights in safetensors, or is quantized; for a hub id
            without a commit.
    """
    if revision is not None:
        if not COMMIT.fullmatch(revision):
            raise ConfigError(
                f"{WHERE}.revision={revision}: a name that can move; set the commit, 40 hexadecimal digits, which the "
                "model's page shows under Files and versions"
            )
        return {"hub": path, "revision": revision}
    folder = Path(path).expanduser()
    check_folder(folder)
    return {"files": {each.name: _describe_file(each) for each in _files(folder)}}


def check_folder(folder: Path) -> None:
    """Makes sure that a folder holds a causal language model's configuration and unquantized safetensors.

    Raises:
        ConfigError: naming the file that is missing or at fault.
    """
    if not folder.is_dir():
        raise ConfigError(
            f"{WHERE}.path={folder}: no such folder; for a model of the hub, set revision to its commit as well"
        )
    if not (folder / "config.json").is_file():
        raise ConfigError(
            f"{folder}: no config.json; set {WHERE}.path to a folder that transformers' save_pretrained wrote"
        )
    weights = {each.name for each in folder.glob("*.safetensors")}
    index = folder / "model.safetensors.index.json"
    try:
        settings = json.loads((folder / "config.json").read_text())
        named = set(json.loads(index.read_text())["weight_map"].values()) if index.is_file() else set()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{folder}: config.json or {index.name} is damaged ({error}); copy it again") from None
    if missing := sorted(named - weights):
        raise ConfigError(f"{folder / missing[0]}: missing, but {index.name} names it; copy it again")
    if not weights:
        raise ConfigError(
            f"{folder}: no *.safetensors; other formats can hold code and are not read: load it where you trust it and "
            "save it again with transformers' save_pretrained"
        )
    if "quantization_config" in settings:
        raise ConfigError(f"{folder}: quantized weights cannot be trained; import the model that they were made from")


def fetch(path: str, revision: str | None) -> Path:
    """The folder of a model, downloaded to the hub's cache where it is not there yet.

    Raises:
        ConfigError: for a folder that cannot be imported.
        DataError: for a model that cannot be downloaded.
    """
    if revision is None:
        folder = Path(path).expanduser()
    else:
        from huggingface_hub import snapshot_download

        try:
            kept: list[str] = [*DOWNLOADED]
            left: list[str] = [*NOT_DOWNLOADED]
            folder = Path(snapshot_download(path, revision=revision, allow_patterns=kept, ignore_patterns=left))
        # No network, no such repository or commit, no access: each its own class, below different bases.
        except Exception as error:
            raise DataError(
                f"{WHERE}.path={path} at {revision[:12]}: cannot be downloaded: {hub_trouble(error, path, revision)}; "
                "or set path to a folder with the model, and revision to null"
            ) from None
    check_folder(folder)
    return folder


def _files(folder: Path) -> list[Path]:
    """The files that an import reads, sorted by name."""
    return sorted({each for pattern in DOWNLOADED for each in folder.glob(pattern) if each.is_file()})


def _describe_file(path: Path) -> list[Any]:
    if path.suffix != ".safetensors":
        return [path.stat().st_size, xxh3_of(path)]
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = file.read(min(length, size))
        try:
            tensors = [each["data_offsets"] for name, each in json.loads(header).items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ConfigError(f"{path}: damaged, its header is no safetensors; copy it again") from None
        sampled = bytearray()
        for begin, end in sorted(tensors):
            file.seek(8 + length + (begin + end) // 2)
            sampled += file.read(min(SAMPLED_BYTES, end - (begin + end) // 2))
    return [size, xxh3_128_hexdigest(header), xxh3_128_hexdigest(bytes(sampled))]
