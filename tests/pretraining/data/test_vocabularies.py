"""Tokens, tokenizer and checkpoint of different vocabularies are rejected."""

import shutil
from pathlib import Path

import pytest

from pipeline.core.errors import CheckpointError, DataError
from pipeline.pretraining.data.vocabularies import check_vocabularies
from tests.runs import VOCABULARY, write_counting_tokens, write_tokenizer


def test_one_vocabulary_for_all(tmp_path: Path) -> None:
    write_counting_tokens(tmp_path)
    write_tokenizer(tmp_path)
    tokens, tokenizer, other = tmp_path / "tokens", tmp_path / "tokenizer", tmp_path / "other"
    check_vocabularies(VOCABULARY, tokenizer, tokens, None)
    check_vocabularies(VOCABULARY, tokenizer, tokens, tokenizer)
    with pytest.raises(DataError, match=r"index\.json: the tokens have 64 ids, model.vocab_size is 65; set"):
        check_vocabularies(VOCABULARY + 1, tokenizer, tokens, None)
    shutil.copytree(tokenizer, other)
    description = (other / "tokenizer.json").read_text()
    # As many ids, two of them with each other's meaning.
    swapped = description.replace('"t8"', '"x"').replace('"t9"', '"t8"').replace('"x"', '"t9"')
    assert swapped != description
    (other / "tokenizer.json").write_text(swapped)
    with pytest.raises(DataError, match=r"made with a tokenizer of SHA-256 [0-9a-f]{12}, but .*other has [0-9a-f]{12}"):
        check_vocabularies(VOCABULARY, other, tokens, None)
    with pytest.raises(CheckpointError, match=r"other: trained with a tokenizer of SHA-256"):
        check_vocabularies(VOCABULARY, tokenizer, tokens, other)
