"""The tokenizer: Granite's special tokens, byte-level BPE that loses nothing, documents that cannot fake tokens."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoTokenizer, GraniteConfig

from pipeline.core.artifact import Artifact
from pipeline.core.errors import DataError
from pipeline.tokenization.special_tokens import SPECIAL_TOKENS, special_token_ids
from pipeline.tokenization.tokenizer import (
    check_tokenizer,
    document_ids,
    document_tokenizer,
    save_tokenizer,
    train_tokenizer,
)

VOCABULARY = 1024
# Granite 4.1's published ids.
PUBLISHED = {
    "<|pad|>": 100256,
    "<|end_of_text|>": 100257,
    "<|fim_prefix|>": 100258,
    "<|fim_middle|>": 100259,
    "<|fim_suffix|>": 100260,
    "<|fim_pad|>": 100261,
    "<|start_of_role|>": 100264,
    "<|end_of_role|>": 100265,
    "<|unused_1|>": 100266,
    "<|unk|>": 100269,
    "<tool_call>": 100270,
    "</tool_call>": 100271,
    "<tool_response>": 100272,
    "</tool_response>": 100273,
    "<think>": 100274,
    "</think>": 100275,
    "<think_on>": 100276,
    "<think_off>": 100277,
    "<schema>": 100278,
    "</schema>": 100279,
    "<tools>": 100280,
    "</tools>": 100281,
    "<documents>": 100282,
    "</documents>": 100283,
}


def test_special_ids_are_the_published_ones() -> None:
    ids = special_token_ids(100_352)
    assert {token: ids[token] for token in PUBLISHED} == PUBLISHED
    assert sorted(ids.values()) == list(range(100_256, 100_352))


def test_a_smaller_vocabulary_ends_with_the_same_block() -> None:
    ids = special_token_ids(2048)
    assert ids["<|pad|>"] == 1952
    assert ids["</documents>"] == 1952 + 27
    assert max(ids.values()) == 2047


def test_training_is_a_function_of_the_texts(texts: list[str], trained: Tokenizer) -> None:
    again = train_tokenizer(reversed(texts), VOCABULARY)
    assert again.to_str() == trained.to_str()
    assert trained.get_vocab_size() == VOCABULARY


def test_too_little_text_is_rejected() -> None:
    with pytest.raises(DataError, match=r"of 2048 ids; set a smaller model.vocab_size"):
        train_tokenizer(["a few words only"], 2048)


@pytest.mark.parametrize("with_model_config", [False, True])
def test_loads_as_saved_with_and_without_a_model_configuration(
    trained: Tokenizer, tmp_path: Path, with_model_config: bool
) -> None:
    save_tokenizer(trained, tmp_path)
    if with_model_config:
        GraniteConfig(vocab_size=VOCABULARY).save_pretrained(tmp_path)
    check_tokenizer(tmp_path, VOCABULARY)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = "x = 12345\n\n\ndef it's(): 'naïve'"
    assert loaded.encode(text) == trained.encode(text).ids
    assert loaded.bos_token == loaded.eos_token == "<|end_of_text|>"
    assert (loaded.pad_token, loaded.unk_token, loaded.padding_side) == ("<|pad|>", "<|unk|>", "left")
    assert loaded.chat_template is not None


def test_a_moved_id_is_found(trained: Tokenizer, tmp_path: Path) -> None:
    save_tokenizer(trained, tmp_path)
    path = tmp_path / "tokenizer.json"
    path.write_text(path.read_text().replace("<think_on>", "<think_up>"))
    with pytest.raises(DataError, match="<think_on> is not the one id"):
        check_tokenizer(tmp_path, VOCABULARY)


def test_decoding_drops_control_tokens_and_keeps_tags(tokenizer_artifact: Artifact) -> None:
    loaded = AutoTokenizer.from_pretrained(tokenizer_artifact.directory / "tokenizer")
    ids = loaded.encode("<think>so</think>7<|end_of_text|>")
    assert loaded.decode(ids, skip_special_tokens=True) == "<think>so</think>7"


hostile = st.lists(st.one_of(st.text(), st.sampled_from(SPECIAL_TOKENS)), max_size=8).map("".join)


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(st.text(), hostile))
def test_documents_survive_and_never_become_special(trained: Tokenizer, text: str) -> None:
    description = json.loads(trained.to_str()) | {"added_tokens": []}
    tokenizer = Tokenizer.from_str(json.dumps(description))
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert all(token < VOCABULARY - len(SPECIAL_TOKENS) for token in ids)
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_a_loaded_tokenizer_reads_documents_as_they_were_tokenized(tokenizer_artifact: Artifact) -> None:
    folder = tokenizer_artifact.directory / "tokenizer"
    loaded = AutoTokenizer.from_pretrained(folder)
    text = f"A text.\n  {' '.join(SPECIAL_TOKENS)} and more"
    assert document_ids(loaded, text) == document_tokenizer(folder).encode(text, add_special_tokens=False).ids
    assert document_ids(loaded, "A text.") == loaded.encode("A text.", add_special_tokens=False)


def test_white_space_among_the_added_tokens_is_kept_in_documents(tokenizer_artifact: Artifact) -> None:
    loaded = AutoTokenizer.from_pretrained(tokenizer_artifact.directory / "tokenizer")
    loaded.add_tokens(["\n\n\n\n"])
    assert document_ids(loaded, "\n\n\n\n") == [len(loaded) - 1]


def test_every_special_string_in_a_document_is_plain_text(tokenizer_artifact: Artifact) -> None:
    tokenizer = document_tokenizer(tokenizer_artifact.directory / "tokenizer")
    encoding = tokenizer.encode("".join(SPECIAL_TOKENS), add_special_tokens=False)
    assert max(encoding.ids) < VOCABULARY - len(SPECIAL_TOKENS)
