"""Settings of the stage `import_model`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

EXCLUDED = {"fingerprint": False}


@dataclass(frozen=True, kw_only=True)
class ImportModelConfig:
    """Where a model comes from, and what its tokenizer is told that it does not know itself."""

    path: str = field(metadata=EXCLUDED)
    """Hugging Face folder; with a `revision` the id of a model on the hub."""
    revision: str | None = field(metadata=EXCLUDED)
    """Commit of a model on the hub, 40 hexadecimal digits; null for a folder."""
    chat_template: str | None = field(metadata=EXCLUDED)
    """Template of conversations: null is the model's own, `plain` a built-in one for any tokenizer, `granite` that of
    this package's models; else a .jinja file."""
    eos_token: str | None
    """Token that ends documents and the assistant's turns; null is the tokenizer's own."""
    pad_token: str | None
    """Token that fills sequences up; null is the tokenizer's own, or one that is free for it."""

    def weights_folder(self) -> Path:
        """Where the model's files lie, if they are on this machine: its folder, or that of the hub's cache."""
        if self.revision is None:
            return Path(self.path).expanduser()
        from huggingface_hub.constants import HF_HUB_CACHE

        return Path(HF_HUB_CACHE) / f"models--{self.path.replace('/', '--')}" / "snapshots" / self.revision

    def datasets_to_fetch(self) -> list[str]:
        """The model, if it is one of the hub that the local cache does not have."""
        here = self.revision is None or (self.weights_folder() / "config.json").is_file()
        return [] if here else [f"{self.path} at {str(self.revision)[:12]}"]

    def data_fingerprint(self) -> dict[str, Any]:
        """What identifies model and template, wherever they lie: a part of the stage's fingerprint.

        Raises:
            ConfigError: for a model or template that is not there, or cannot be imported.
        """
        from pipeline.model_import.source import describe_model, describe_template

        return {
            "model": describe_model(self.path, self.revision),
            "chat_template": describe_template(self.chat_template),
        }
