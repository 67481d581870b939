"""What the trace says is what the loader fed: checked token by token, from both ends."""

import gzip
import hashlib
import json
import shutil
import sysconfig
from collections import defaultdict
from pathlib import Path

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from pipeline.control.tracing import trace_table
from pipeline.core.artifact import Artifact, Manifest
from pipeline.core.context import StageContext
from pipeline.core.files import write_json
from pipeline.pretraining.data.mixture import Mixture
from pipeline.pretraining.data.permutation import FeistelPermutation
from pipeline.pretraining.data.stream import TokenStream
from pipeline.pretraining.data.trace import Occurrence, Trace
from pipeline.tokenization import tokenize
from pipeline.tokenization.tokenizer import document_tokenizer, save_tokenizer, train_tokenizer
from tests.runs import finished, freeze
from tests.settings import stage_config, stage_settings

WEIGHTS = {"code": 2.0, "math": 1.0}
CONTEXT, SEQUENCES_PER_STEP, STEPS, VOCABULARY = 64, 3, 60, 1024


@given(length=st.integers(1, 3000), key=st.text(max_size=5))
def test_a_permutation_can_be_inverted(length: int, key: str) -> None:
    indices = numpy.arange(length)
    permutation = FeistelPermutation(length, key)
    assert permutation.inverse(permutation(indices)).tolist() == indices.tolist()


@given(
    weights=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 50).map(float), min_size=1),
    sample=st.integers(0, 3000),
    seed=st.integers(0, 2**32),
)
@settings(deadline=None, max_examples=50)
def test_a_mixture_can_be_inverted(weights: dict[str, float], sample: int, seed: int) -> None:
    mixture = Mixture(weights, seed)
    domains, positions = mixture.assign(sample, 1)
    assert mixture.sample_of(int(domains[0]), int(positions[0])) == sample


def artifact(directory: Path) -> Artifact:
    return Artifact(directory, Manifest(stage="x", kind="test", fingerprint="0", inputs={}, files={}))


def write_corpus(folder: Path) -> dict[str, str]:
    """Two domains of real code in files of several sources; the text of each document by its id."""
    library = Path(sysconfig.get_paths()["stdlib"])
    library_text = "".join(path.read_text() for path in sorted(library.glob("*.py"))[:12])
    texts = [library_text[start : start + 40 + start % 700] for start in range(0, 90_000, 750)]
    known = {hashlib.sha256(text.encode()).hexdigest(): text for text in texts}
    for domain, chosen in (("code", list(known)[:90]), ("math", list(known)[90:])):
        for file in range(2):
            rows = [
                {"id": document_id, "text": known[document_id], "metadata": {"source": f"{domain} {number % 3}"}}
                for number, document_id in enumerate(chosen)
                if number % 2 == file
            ]
            path = folder / "documents" / domain / f"{file}.jsonl.gz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return known


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str], Tokenizer]:
    """The folder of tokens, the texts, and the tokenizer."""
    folder = tmp_path_factory.mktemp("trace")
    known = write_corpus(folder / "corpus")
    save_tokenizer(train_tokenizer(list(known.values()), VOCABULARY), folder / "tokenizer" / "tokenizer")
    config = stage_config("tokenize", vocab_size=VOCABULARY, domains=list(WEIGHTS), validation_share=0.05)
    inputs = {"corpus": artifact(folder / "corpus"), "tokenizer": artifact(folder / "tokenizer")}
    context = StageContext.for_test("tokenize", config, inputs, folder / "tokenize")
    tokenize.run(context)
    return context.output / "tokens", known, document_tokenizer(folder / "tokenizer" / "tokenizer")


def test_every_token_fed_is_traced_to_its_document_and_back(fed: tuple[Path, dict[str, str], Tokenizer]) -> None:
    tokens, known, tokenizer = fed
    stream = TokenStream(tokens, WEIGHTS, CONTEXT, seed=7)
    trace = Trace(tokens, stream, CONTEXT, SEQUENCES_PER_STEP, STEPS)
    encoded = {document_id: [*tokenizer.encode(text).ids, VOCABULARY - 95] for document_id, text in known.items()}
    seen: dict[str, list[Occurrence]] = defaultdict(list)
    for step in range(STEPS):
        batch = stream.read(step * SEQUENCES_PER_STEP, SEQUENCES_PER_STEP)
        rebuilt: list[list[int]] = [[] for _ in range(SEQUENCES_PER_STEP)]
        for each in trace.documents_of_step(step):
            assert each.step == step
            assert each.position == len(rebuilt[each.row])
            assert each.source.startswith(each.domain)
            rebuilt[each.row] += encoded[each.document][each.start : each.end]
            seen[each.document].append(each)
        assert rebuilt == batch.tokens.tolist()
    assert max(each.epoch for occurrences in seen.values() for each in occurrences) >= 1, "some data came twice"
    for document_id in known:
        assert list(trace.steps_of_document(document_id)) == seen.get(document_id, [])
    # Held-out documents are known, and were never seen.
    assert known.keys() - seen.keys()
    assert list(trace.steps_of_document("0" * 64)) == []


def test_a_table_says_which_steps_were_skipped(fed: tuple[Path, dict[str, str], Tokenizer], tmp_path: Path) -> None:
    tokens, known, _ = fed
    freeze(tmp_path, "tokens", "tokenize", {}, {})
    finished(tmp_path, "tokens", lambda partial: shutil.copytree(tokens, partial / "tokens"))
    config = stage_settings(
        "phase1",
        tokens=STEPS * SEQUENCES_PER_STEP * CONTEXT,
        context=CONTEXT,
        mixture=WEIGHTS,
        sequences_per_step=SEQUENCES_PER_STEP,
        sequences_per_rank=1,
        learning_rate={"law": "constant", "start": 0.01},
    )
    freeze(tmp_path, "phase1", "pretrain", config, {"tokens": "tokens"})

    def end(partial: Path) -> None:
        (partial / "training_state").mkdir()
        write_json(partial / "training_state" / "progress.json", {"skipped_steps": [4]})

    finished(tmp_path, "phase1", end)
    for step, skipped in (("phase1/4", "yes"), ("phase1/5", "no")):
        header, *rows = (line.split("\t") for line in trace_table(tmp_path, step, None))
        assert header[-1] == "skipped"
        assert rows
        assert {row[-1] for row in rows} == {skipped}
        document = rows[0][header.index("document")]
        found = [line.split("\t") for line in trace_table(tmp_path, None, document)]
        assert rows[0] in found
        assert document in known
