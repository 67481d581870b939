"""A random Granite model with a real tokenizer, and token shards of standard-library text."""

import gzip
import hashlib
import json
import sysconfig
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, GraniteConfig, GraniteForCausalLM

from pipeline.core.artifact import Artifact, Manifest
from pipeline.core.context import StageContext
from pipeline.inference.loading import LoadedModel, load_model
from pipeline.tokenization import tokenize
from pipeline.tokenization.tokenizer import save_tokenizer, train_tokenizer
from tests.settings import stage_config

VOCABULARY = 512


def _artifact(directory: Path) -> Artifact:
    return Artifact(directory, Manifest(stage=directory.name, kind="test", fingerprint="0", inputs={}, files={}))


@pytest.fixture(scope="session")
def library_texts() -> list[str]:
    library = Path(sysconfig.get_paths()["stdlib"])
    return [path.read_text()[:6000] for path in sorted(library.glob("*.py"))[:24]]


@pytest.fixture(scope="session")
def tokenizer_artifact(library_texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    directory = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(train_tokenizer(library_texts, VOCABULARY), directory / "tokenizer")
    return _artifact(directory)


@pytest.fixture(scope="session")
def tokens_artifact(
    library_texts: list[str], tokenizer_artifact: Artifact, tmp_path_factory: pytest.TempPathFactory
) -> Artifact:
    root = tmp_path_factory.mktemp("data")
    for domain, texts in (("code", library_texts), ("math", ["1 + 1 = 2", "2 + 2 = 4"])):
        (root / "corpus" / "documents" / domain).mkdir(parents=True)
        with gzip.open(root / "corpus" / "documents" / domain / "0.jsonl.gz", "wt") as file:
            for text in texts:
                identity = hashlib.sha256(text.encode()).hexdigest()
                file.write(json.dumps({"id": identity, "text": text}) + "\n")
    config = stage_config("tokenize", vocab_size=VOCABULARY, domains=["code", "math"], validation_share=0.3)
    inputs = {"corpus": _artifact(root / "corpus"), "tokenizer": tokenizer_artifact}
    context = StageContext.for_test("tokenize", config, inputs, root / "tokenize")
    tokenize.run(context)
    (context.output / "tokens").rename(root / "tokenize" / "tokens")
    return _artifact(root / "tokenize")


@pytest.fixture(scope="session")
def model_artifact(tokenizer_artifact: Artifact, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    directory = tmp_path_factory.mktemp("model")
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_artifact.directory / "tokenizer")
    torch.manual_seed(0)
    model = GraniteForCausalLM(
        GraniteConfig(
            vocab_size=VOCABULARY,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            initializer_range=0.1,
            attention_multiplier=1 / 16,
            logits_scaling=0.5,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    model.save_pretrained(directory / "checkpoint")
    tokenizer.save_pretrained(directory / "checkpoint")
    return _artifact(directory)


@pytest.fixture(scope="session")
def loaded(model_artifact: Artifact) -> LoadedModel:
    return load_model(model_artifact.checkpoint, "fp32")
