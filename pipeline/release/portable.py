"""The JSON files of a released folder as older and other programs read them.

transformers 5 writes what it reads itself. transformers 4.57, and with it programs that stand on it (mlx-lm, converters
to GGUF and ONNX), silently take defaults where a key has another name, and refuse a class of tokenizer that they do not
know. Both forms stand side by side afterwards; saving the folder with transformers 5 writes its own alone.
"""

from pathlib import Path
from typing import Any

from pipeline.core.files import read_json, write_json

READABLE = 0o644
"""Mode of the files: whoever may enter the folder may read them. Weights are written for their owner alone."""
UNLIMITED = 10**12
"""From this many tokens on, a tokenizer's longest text is no limit but stands for none."""


def make_portable(folder: Path) -> None:
    """Adds the earlier names of settings and removes what is true on this machine alone; makes all files readable."""
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", portable_config(config))
    tokenizer = folder / "tokenizer_config.json"
    file = folder / "chat_template.jinja"
    template = file.read_text(encoding="utf-8") if file.is_file() else None
    context = config["max_position_embeddings"]
    write_json(tokenizer, portable_tokenizer_config(read_json(tokenizer), template, context))
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(READABLE)


def portable_config(config: dict[str, Any]) -> dict[str, Any]:
    """A model's configuration with `rope_theta`, `rope_scaling` and `torch_dtype` beside their successors."""
    rope = config.get("rope_parameters") or {}
    earlier: dict[str, Any] = {}
    if "rope_theta" in rope:
        earlier["rope_theta"] = rope["rope_theta"]
        if rope.get("rope_type", "default") != "default":
            earlier["rope_scaling"] = {key: value for key, value in rope.items() if key != "rope_theta"}
    if "dtype" in config:
        earlier["torch_dtype"] = config["dtype"]
    return {**config, **earlier}


def portable_tokenizer_config(config: dict[str, Any], template: str | None, context: int) -> dict[str, Any]:
    """A tokenizer's configuration that names the class of transformers 4 and holds the chat template.

    Args:
        config: as transformers 5 wrote it.
        template: the chat template, which some programs look for here alone; None if there is none.
        context: the model's longest context in tokens, for a configuration that sets no limit.
    """
    kept = {key: value for key, value in config.items() if key not in ("backend", "is_local", "local_files_only")}
    if kept.get("tokenizer_class") == "TokenizersBackend":
        kept["tokenizer_class"] = "PreTrainedTokenizerFast"
    if kept.get("model_max_length", UNLIMITED) >= UNLIMITED:
        kept["model_max_length"] = context
    if template is not None:
        kept["chat_template"] = template
    return {**kept, "model_input_names": ["input_ids", "attention_mask"]}
