"""A small corpus in the form that curation writes, and a tokenizer trained on it."""

import gzip
import hashlib
import json
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from pipeline.core.artifact import Artifact, Manifest
from pipeline.tokenization.tokenizer import save_tokenizer, train_tokenizer

VOCABULARY = 1024


def _artifact_at(directory: Path) -> Artifact:
    return Artifact(directory, Manifest(stage=directory.name, kind="test", fingerprint="0", inputs={}, files={}))


def _write_documents(artifact: Path, domain: str, files: list[list[str]]) -> None:
    """Texts to `documents/<domain>/<number>.jsonl.gz`, one list per file; the id is the content's hash."""
    directory = artifact / "documents" / domain
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("*.jsonl.gz"):
        old.unlink()
    for number, texts in enumerate(files):
        with gzip.open(directory / f"{number:05}.jsonl.gz", "wt") as file:
            for text in texts:
                document_id = hashlib.sha256(text.encode()).hexdigest()
                file.write(json.dumps({"id": document_id, "text": text, "metadata": {}}) + "\n")


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Real text and code: thirty modules of the standard library, cut into documents of 1,500 characters."""
    library = Path(sysconfig.get_paths()["stdlib"])
    sources = [path.read_text() for path in sorted(library.glob("*.py"))[:30]]
    return [source[start : start + 1500] for source in sources for start in range(0, len(source), 1500)]


@pytest.fixture(scope="session")
def trained(texts: list[str]) -> Tokenizer:
    return train_tokenizer(texts, VOCABULARY)


@pytest.fixture(scope="session")
def tokenizer_artifact(trained: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    directory = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(trained, directory / "tokenizer")
    return _artifact_at(directory)


@pytest.fixture(scope="session")
def write_documents() -> Callable[[Path, str, list[list[str]]], None]:
    return _write_documents


@pytest.fixture
def corpus(tmp_path: Path, texts: list[str]) -> Callable[..., Artifact]:
    """The same documents of two domains in any number of files."""

    def make(number_of_files: int, backwards: bool = False) -> Artifact:
        directory = tmp_path / f"corpus{number_of_files}{backwards}"
        for domain, chosen in (("code", texts[:200]), ("math", ["1 + 1 = 2", "2 + 2 = 4", "3 + 4 = 7"])):
            ordered = chosen[::-1] if backwards else chosen
            _write_documents(directory, domain, [ordered[k::number_of_files] for k in range(number_of_files)])
        return _artifact_at(directory)

    return make
