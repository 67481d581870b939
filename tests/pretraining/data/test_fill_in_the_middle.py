"""Rearranged spans say what the documents said, in the places and the order that the paper has."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from pipeline.core.errors import ConfigError
from pipeline.pretraining.config import FillInTheMiddleConfig
from pipeline.pretraining.data.fill_in_the_middle import FillInTheMiddle
from pipeline.pretraining.data.stream import IGNORE_INDEX, TokenStream
from pipeline.tokenization.tokenizer import document_tokenizer, save_tokenizer, train_tokenizer
from tests import ROOT
from tests.foreign import BEGIN, END, PADDING, foreign_tokenizer
from tests.shards import write_shards

MODULES = [path.read_text() for path in sorted((ROOT / "pipeline" / "pretraining").glob("*.py")) if path.stat().st_size]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(train_tokenizer(MODULES, 600), directory)
    return directory


def read_back(tokens: Sequence[int], special: Sequence[int], tokenizer: Tokenizer) -> tuple[str, str, str]:
    """Prefix, middle and suffix of a rearranged span."""
    before, middle, after = special
    row = list(tokens)
    assert row[0] == before
    if row[1] == after:
        between = row.index(middle)
        suffix, rest = row[2:between], row[between + 1 :]
        return tokenizer.decode(rest), "", tokenizer.decode(suffix)
    a, b = row.index(after), row.index(middle)
    return tuple(tokenizer.decode(part) for part in (row[1:a], row[b + 1 :], row[a + 1 : b]))  # type: ignore[return-value]


@settings(max_examples=40, deadline=None)
@given(start=st.integers(0, 3000), length=st.integers(20, 300), spm=st.booleans(), key=st.text(max_size=4))
def test_a_span_is_read_back(folder: Path, start: int, length: int, spm: bool, key: str) -> None:
    """Its text, up to the end of the suffix, which makes room for the special tokens."""
    tokenizer, known = document_tokenizer(folder), Tokenizer.from_file(str(folder / "tokenizer.json"))
    special: Any = [known.token_to_id(f"<|fim_{name}|>") for name in ("prefix", "middle", "suffix")]
    window = numpy.array(tokenizer.encode("".join(MODULES)).ids[start : start + length + 1])
    fill = FillInTheMiddle(FillInTheMiddleConfig(rate=1.0, spm_share=float(spm), domains=("code",)), folder)
    made = fill(window, numpy.empty(0, numpy.int64), key)
    assert len(made) == len(window)
    assert numpy.array_equal(made, fill(window, numpy.empty(0, numpy.int64), key))
    if numpy.array_equal(made, window):  # no room
        return
    if spm:
        assert made[1] == special[2]
    prefix, middle, suffix = read_back(made.tolist(), special, tokenizer)
    text = tokenizer.decode(window.tolist())
    assert text.startswith(prefix + middle)
    rest = text[len(prefix + middle) :]
    assert rest.startswith(suffix.rstrip("\ufffd"))


def test_documents_stay_where_they_are(folder: Path, tmp_path: Path) -> None:
    """Only the domains named change; ends of documents, positions and missing labels do not; the rate is kept."""
    tokenizer = document_tokenizer(folder)
    documents = [tokenizer.encode(text[at : at + 900]).ids for text in MODULES for at in range(0, len(text) - 900, 900)]
    write_shards(tmp_path, {"code": documents, "math": documents})
    weights = {"code": 1.0, "math": 1.0}
    config = FillInTheMiddleConfig(rate=0.5, domains=("code",))
    plain = TokenStream(tmp_path, weights, 512, seed=0)
    filled = TokenStream(tmp_path, weights, 512, seed=0, transforms={"code": FillInTheMiddle(config, folder)})
    samples, changed = 60, 0
    before, after = plain.read(0, samples), filled.read(0, samples)
    for row in range(samples):
        assert numpy.array_equal(before.positions[row], after.positions[row])
        assert numpy.array_equal(before.labels[row] == IGNORE_INDEX, after.labels[row] == IGNORE_INDEX)
        same = numpy.array_equal(before.tokens[row], after.tokens[row])
        if plain.mixture.domains[plain.locate(row).domain] == "math":
            assert same
            continue
        changed += not same
        inside = after.labels[row][:-1] != IGNORE_INDEX
        assert numpy.array_equal(after.labels[row][:-1][inside], after.tokens[row][1:][inside])
        ends = before.labels[row] == IGNORE_INDEX
        assert not before.tokens[row][ends].any()
        assert not after.tokens[row][ends].any()
    assert changed >= 15
    again = filled.read(17, 3)
    assert numpy.array_equal(again.tokens, after.tokens[17:20])


# A prefix without a token has the suffix first in either order.
@pytest.mark.parametrize(("spm_share", "least", "most"), [(0.0, 0.0, 0.05), (0.5, 0.35, 0.65), (1.0, 1.0, 1.0)])
def test_the_share_of_spans_is_the_rate(folder: Path, spm_share: float, least: float, most: float) -> None:
    tokens = numpy.array(document_tokenizer(folder).encode("".join(MODULES)).ids[:400])
    fill = FillInTheMiddle(FillInTheMiddleConfig(rate=0.3, spm_share=spm_share, domains=("code",)), folder)
    made = [fill(tokens, numpy.empty(0, numpy.int64), str(key)) for key in range(600)]
    changed = [row for row in made if not numpy.array_equal(row, tokens)]
    assert 0.22 <= len(changed) / 600 <= 0.34
    special = Tokenizer.from_file(str(folder / "tokenizer.json")).token_to_id("<|fim_suffix|>")
    assert least <= sum(row[1] == special for row in changed) / len(changed) <= most


def test_a_tokenizer_without_the_tokens_is_rejected(folder: Path, tmp_path: Path) -> None:
    document_tokenizer(folder).save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ConfigError, match=r"has no <\|fim_prefix\|>; set fill_in_the_middle to null"):
        FillInTheMiddle(FillInTheMiddleConfig(rate=0.1, domains=("code",)), tmp_path)


@pytest.mark.parametrize("spm", [False, True])
def test_what_an_imported_tokenizer_begins_documents_with_stays_first(spm: bool, tmp_path: Path) -> None:
    """`<s>`, then the rearranged text; a span that goes on with a document has none, and gets none."""
    names = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")
    foreign = foreign_tokenizer((BEGIN, END, PADDING, *names))
    foreign.save_pretrained(tmp_path)
    special: Any = foreign.convert_tokens_to_ids(list(names))
    tokenizer = document_tokenizer(tmp_path)
    text = tokenizer.encode("".join(MODULES), add_special_tokens=False).ids[:200]
    window = numpy.array([foreign.bos_token_id, *text, foreign.eos_token_id, *text[7:90]])
    ends = numpy.array([len(text) + 2])
    fill = FillInTheMiddle(FillInTheMiddleConfig(rate=1.0, spm_share=float(spm), domains=("code",)), tmp_path)
    made = [fill(window, ends, str(key)) for key in range(8)]
    changed = [row for row in made if row[1] == special[0]]
    assert len(changed) >= 6
    for row in changed:
        assert len(row) == len(window)
        assert row[0] == foreign.bos_token_id
        assert (row == foreign.bos_token_id).sum() == 1
        prefix, middle, suffix = read_back(row[1 : ends[0] - 1].tolist(), special, tokenizer)
        rest = tokenizer.decode(text)
        assert rest.startswith(prefix + middle)
        assert rest[len(prefix + middle) :].startswith(suffix.rstrip("\ufffd"))
