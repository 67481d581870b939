"""Byte-level BPE with Granite's special tokens: training, saving, and encoding of possibly hostile text."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from pipeline.core.errors import DataError
from pipeline.core.files import sha256_of
from pipeline.tokenization.special_tokens import (
    BLOCK_SIZE,
    END_OF_TEXT,
    PAD,
    SPECIAL_TOKENS,
    UNKNOWN,
    is_control,
    special_token_ids,
)

# The cl100k pattern: contractions, words with one leading sign, numbers in groups of up to three digits,
# punctuation with the line ends after it, line ends, and spaces up to the last before a word.
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja")


def train_tokenizer(texts: Iterable[str], vocab_size: int) -> Tokenizer:
    """Trains a tokenizer of exactly `vocab_size` ids, the last 96 of them special; it depends on the texts alone.

    Raises:
        DataError: if the texts hold too few distinct pairs to reach the vocabulary.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    wanted = vocab_size - BLOCK_SIZE
    trainer = trainers.BpeTrainer(
        vocab_size=wanted,
        min_frequency=2,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer=trainer)
    found = tokenizer.get_vocab_size()
    if found != wanted:
        raise DataError(
            f"tokenizer: the text sample yields {found + BLOCK_SIZE} of {vocab_size} ids; "
            "set a smaller model.vocab_size, a larger sample_bytes_per_domain, or curate more text"
        )
    tokenizer.add_tokens([AddedToken(token, special=is_control(token), normalized=False) for token in SPECIAL_TOKENS])
    return tokenizer


def save_tokenizer(tokenizer: Tokenizer, directory: Path) -> None:
    """Writes a Hugging Face folder: tokenizer.json, tokenizer_config.json and the chat template.

    The class is the generic one that takes tokenizer.json as it is. A GPT2Tokenizer, which the published
    configuration names, rebuilds the pre-tokenizer and splits numbers and line ends differently.
    """
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        pad_token=PAD,
        unk_token=UNKNOWN,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    fast.chat_template = CHAT_TEMPLATE.read_text()
    fast.save_pretrained(directory)


def check_tokenizer(directory: Path, vocab_size: int) -> None:
    """Loads a saved tokenizer as a user would, and checks what the rest of the pipeline relies on.

    Raises:
        DataError: if it has another number of ids, a special token is not one id or has moved, text does not survive
            encoding and decoding, or numbers are not split into groups of up to three digits.
    """
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(directory)
    if len(loaded) != vocab_size:
        raise DataError(f"{directory}: has {len(loaded)} ids, {vocab_size} wanted")
    for token, token_id in special_token_ids(vocab_size).items():
        if loaded.encode(token, add_special_tokens=False) != [token_id]:
            raise DataError(f"{directory}: {token} is not the one id {token_id}")
    sample = "In 2024: 1,234567 naïve cafés' tests\n\n\tdef f(x):\r\n        return x  # 你好 🙂\n"
    if loaded.decode(loaded.encode(sample, add_special_tokens=False)) != sample:
        raise DataError(f"{directory}: text does not survive encoding and decoding")
    numbers = [loaded.decode([token]) for token in loaded.encode("1234567", add_special_tokens=False)]
    if any(len(number) > 3 for number in numbers):
        raise DataError(f"{directory}: digits are not split in groups of up to three: {numbers}")


@dataclass(frozen=True)
class Vocabulary:
    """The ids of a tokenizer, as documents are written in."""

    size: int
    """Ids in all."""
    end_of_text: int
    """Id that is put after each document."""
    beginning: tuple[int, ...] = ()
    """Ids that are put before each document."""


def vocabulary_of(directory: Path, vocab_size: int | None) -> Vocabulary:
    """The vocabulary of a saved tokenizer: one of this package's, which is checked, or any other.

    Args:
        directory: its Hugging Face folder.
        vocab_size: ids that one of this package's has; None takes any tokenizer, with the ids that it puts before a
            text and its end-of-sequence token after it.

    Raises:
        DataError: for a tokenizer that fails `check_tokenizer`, or has no end-of-sequence token.
    """
    from transformers import AutoTokenizer

    if vocab_size is not None:
        check_tokenizer(directory, vocab_size)
        return Vocabulary(vocab_size, special_token_ids(vocab_size)[END_OF_TEXT])
    loaded = AutoTokenizer.from_pretrained(directory)
    if loaded.eos_token_id is None:
        raise DataError(f"{directory}: has no end-of-sequence token to end documents with; set eos_token of its import")
    return Vocabulary(max(loaded.get_vocab().values()) + 1, loaded.eos_token_id, beginning_of(loaded))


def beginning_of(tokenizer: Any) -> tuple[int, ...]:
    """The ids that a tokenizer of transformers puts before a text; those of this package put none."""
    # What it puts after a text too, such as an end, comes once.
    return tuple(token for token in tokenizer.encode("") if token != tokenizer.eos_token_id)


def tokenizer_fingerprint(directory: Path) -> str:
    """SHA-256 of tokenizer.json: two folders with the same fingerprint give the same ids."""
    return sha256_of(directory / "tokenizer.json")


def document_tokenizer(directory: Path) -> Tokenizer:
    """A tokenizer for text nobody vouches for: it has no special tokens, so no text can produce their ids.

    `<|end_of_text|>` written inside a document becomes the tokens of those characters.
    """
    description = json.loads((directory / "tokenizer.json").read_text())
    description["added_tokens"] = []
    return Tokenizer.from_str(json.dumps(description))


def document_ids(tokenizer: Any, text: str) -> list[int]:
    """The ids of a text nobody vouches for, by a loaded tokenizer of any origin.

    Its control tokens and tags are characters, as for `document_tokenizer`; runs of white space, which some tokenizers
    have among their added tokens, stay what they are. Nothing is put before or behind the text.
    """
    return _plain(tokenizer).encode(text, add_special_tokens=False).ids


@lru_cache(maxsize=2)
def _plain(tokenizer: Any) -> Tokenizer:
    description = json.loads(tokenizer.backend_tokenizer.to_str())
    for token in description["added_tokens"]:
        token["special"] = token["special"] or not token["content"].isspace()
    plain = Tokenizer.from_str(json.dumps(description | {"truncation": None, "padding": None}))
    plain.encode_special_tokens = True  # as the characters that they are
    return plain
