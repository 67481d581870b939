"""A small corpus, and the stage on a server."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.artifact import Artifact, Manifest
from pipeline.core.context import StageContext
from pipeline.curation.text.documents import content_id, write_rows
from pipeline.synthesis.config import SynthesizeConfig
from tests.settings import language_model_settings, stage_config
from tests.synthesis.language_model.model import CODE, PAGES
from tests.synthesis.language_model.server import MODEL, ChatServer

Context = Callable[..., StageContext[SynthesizeConfig]]


def corpus(folder: Path) -> Artifact:
    """What the stage curate might have left."""
    for domain, texts in (("common_crawl_hq", PAGES), ("code", CODE)):
        rows = [{"text": text, "id": content_id(text), "metadata": {"source": "test", "origin": "x"}} for text in texts]
        write_rows(folder / "documents" / domain / "00000.jsonl.gz", rows)
    return Artifact(folder, Manifest(stage="curate", kind="curate", fingerprint="0", inputs={}, files={}))


def small(**language_model: Any) -> SynthesizeConfig:
    """A stage whose samples are nearly all the model's."""
    return stage_config(
        "synthesize", environment_problems=11, environment_chains=4, chains=1, word_problems=1,
        calls=1, doctest_files=1, workers=2,
        language_model=language_model_settings(**language_model),
    )  # fmt: skip


@pytest.fixture
def context_of(tmp_path: Path) -> Context:
    """A context for a server; what is given changes the model's settings."""

    def make(server: ChatServer, prompts: Path, name: str = "stage", **changes: Any) -> StageContext[SynthesizeConfig]:
        settings = {
            "url": server.url, "model": MODEL, "prompts": str(prompts), "cache": str(tmp_path / f"{name}-cache"),
            "timeout_seconds": 60.0, "backoff_seconds": 0.01, "concurrency": 8,
        }  # fmt: skip
        inputs = {"corpus": corpus(tmp_path / "corpus")}
        return StageContext.for_test("synthesize", small(**{**settings, **changes}), inputs, tmp_path / name)

    return make
