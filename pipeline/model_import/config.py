"""Settings of the stage `import_model`."""

from dataclasses import dataclass, field
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
