"""Bits per byte: whatever the windows, against what compressors need of the same bytes."""

import gzip
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch.nn import functional

from pipeline.core.artifact import Artifact
from pipeline.core.errors import DataError
from pipeline.core.installation import BUILT_IN, CONF
from pipeline.evaluation.bench import Bench
from pipeline.evaluation.config import OutsideTextConfig
from pipeline.evaluation.outside_text import check_texts, cut, read_text
from pipeline.evaluation.text import document_bits, measure, windows
from pipeline.inference.loading import LoadedModel
from pipeline.pretraining.data.stream import IGNORE_INDEX
from tests.evaluation.settings import bench_of

SENTENCES = "A river runs through the valley, and the valley ends at the sea.\n" * 9


def text_bench(loaded: LoadedModel, state: Path, tokens: Path | None = None, **text: Any) -> Bench:
    settings = {"context": 32, "maximum_bytes": 3000, "held_out": tokens is not None, "outside": {}, **text}
    return bench_of(loaded, state, tokens, text=settings)


def test_every_token_but_the_first_is_predicted_once() -> None:
    batch = windows(list(range(10, 21)), 4)
    assert batch is not None
    labels = [label for label in batch.labels.flatten().tolist() if label != IGNORE_INDEX]
    assert labels == list(range(11, 21))
    assert batch.tokens[:, 0].tolist() == [10, 14, 18]
    assert windows([5], 4) is None


def test_the_bits_of_a_document_are_those_of_its_tokens(loaded: LoadedModel, tmp_path: Path) -> None:
    tokenizer: Any = loaded.tokenizer
    bench = text_bench(loaded, tmp_path, context=4096, outside={"x": {"path": "x"}})
    ids = tokenizer.encode(SENTENCES, add_special_tokens=False)
    with torch.inference_mode():
        logits = loaded.model(input_ids=torch.tensor([ids])).logits[0, :-1]
        nats = functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="sum")
    bits, tokens = document_bits(bench, SENTENCES)
    assert tokens == len(ids)
    assert bits == pytest.approx(float(nats) / math.log(2) + math.log2(len(tokenizer)), rel=1e-5)


def test_special_tokens_that_a_document_spells_out_are_characters(loaded: LoadedModel, tmp_path: Path) -> None:
    tokenizer: Any = loaded.tokenizer
    bench = text_bench(loaded, tmp_path, context=4096, outside={"x": {"path": "x"}})
    bits, tokens = document_bits(bench, f"A {tokenizer.eos_token} B")
    assert bits > 0
    assert tokens > len(tokenizer.encode(f"A {tokenizer.eos_token} B", add_special_tokens=False))


def test_texts_stand_beside_compressors_and_have_no_mean(
    loaded: LoadedModel, tokens_artifact: Artifact, tmp_path: Path
) -> None:
    (tmp_path / "own texts").mkdir()
    (tmp_path / "own texts" / "a.md").write_text(SENTENCES)
    outside = {"mine": {"path": str(tmp_path / "own texts")}}
    bench = text_bench(loaded, tmp_path / "state", tokens_artifact.directory / "tokens", outside=outside)
    metrics = measure(bench).metrics
    assert metrics["gzip_bits_per_byte/outside/mine"] == 8 * len(gzip.compress(SENTENCES.encode(), 9)) / len(SENTENCES)
    assert metrics["bits_per_byte/outside/mine"] > metrics["gzip_bits_per_byte/outside/mine"]  # random weights
    assert {name for name in metrics if name.startswith("bits")} == {
        "bits_per_byte/code", "bits_per_byte/math", "bits_per_byte/outside/mine",
    }  # fmt: skip


def test_a_document_is_cut_behind_a_line() -> None:
    assert cut(["one\n", "two\nthree\n", "four"], 10) == ["one\n", "two\n"]
    assert cut(["größer"], 4) == ["gr\u00f6"]


def test_text_that_is_not_there_is_named_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"gr\xfcn")
    for text, message in (
        (OutsideTextConfig(path=str(tmp_path / "none")), "mine.path=.*none: no such file or folder; name a"),
        (OutsideTextConfig(packages=("no_such_package",)), "no_such_package is not installed"),
    ):
        with pytest.raises(DataError, match=message):
            check_texts({"mine": text})
    with pytest.raises(DataError, match="not UTF-8"):
        read_text("mine", OutsideTextConfig(path=str(tmp_path / "latin")), 100)


def test_the_default_text_is_of_no_recipe() -> None:
    """Packages that built-in suites measure on are read by no recipe, and come with this package."""
    suite = yaml.safe_load((CONF / "evaluation" / "base.yaml").read_text())
    packages = suite["text"]["outside"]["packages"]["packages"]
    trained_on = {
        package
        for path in (BUILT_IN / "data_recipes").rglob("*.yaml")
        for source in (yaml.safe_load(path.read_text()) or {}).get("sources") or ()
        for package in source.get("packages") or ()
    }
    assert len(trained_on) > 40
    assert not trained_on & set(packages)
    documents = read_text("packages", OutsideTextConfig(packages=tuple(packages)), 50_000)
    assert 40_000 < sum(len(document.encode()) for document in documents) <= 50_000
