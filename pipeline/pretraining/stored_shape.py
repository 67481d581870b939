"""What the files of a checkpoint say of its size, without loading it: for `fivephase plan`, which loads no torch."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

HEAD = "lm_head.weight"
"""The output layer. A checkpoint that ties it to the embeddings may store it all the same, as Granite 4.1 does."""


@dataclass(frozen=True)
class StoredShape:
    """The size of a checkpoint, in the names of `ModelConfig`."""

    layers: int
    hidden_size: int
    parameters: int
    """Numbers in its weights, tied ones counted once."""


def stored_shape(folder: Path) -> StoredShape | None:
    """The size of a Hugging Face folder's model, by its configuration and the headers of its safetensors.

    None for a folder that is not there, not whole, or not of a form that these can be read from: whoever loads it says
    what is wrong.
    """
    try:
        settings = json.loads((folder / "config.json").read_text())
        index = folder / "model.safetensors.index.json"
        names = set(json.loads(index.read_text())["weight_map"].values()) if index.is_file() else {"model.safetensors"}
        sizes = {key: size for name in names for key, size in _tensors(folder / name).items()}
        if settings.get("tie_word_embeddings"):
            sizes.pop(HEAD, None)
        return StoredShape(settings["num_hidden_layers"], settings["hidden_size"], sum(sizes.values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _tensors(path: Path) -> dict[str, int]:
    """How many numbers each tensor of a safetensors file has.

    The file begins with the length of its header, eight bytes, and the header, JSON
    (https://huggingface.co/docs/safetensors/index#format).
    """
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return {name: math.prod(each["shape"]) for name, each in header.items() if name != "__metadata__"}
