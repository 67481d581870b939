"""The filter on tokens per character (GneissWeb, arXiv 2502.14907: extreme-tokenized documents)."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from datatrove.data import Document
from tokenizers import Tokenizer

from pipeline.core.errors import DataError
from pipeline.curation.audit.filter_result import FilterResult, check_limits
from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.recipes.steps.classifiers import ExtremeTokenized

CHUNK_CHARACTERS = 20_000
"""Texts are tokenized in chunks of so many characters, as in data-prep-kit, which bounds memory and time of a call."""
Measure = Callable[[str], float]


@lru_cache(maxsize=4)
def tokens_per_character(path: str) -> Measure:
    """Loads a tokenizer.json and returns the function that measures a text's tokens per character.

    Tokens that mark beginning and end of a text are not counted.

    Raises:
        DataError: if the file is no tokenizer.
    """
    if not Path(path).is_file():
        raise DataError(f"tokenizer={path}: no such file, set tokenizer to a tokenizer.json")
    try:
        tokenizer = Tokenizer.from_file(path)
    except Exception as error:  # the library raises no narrower class
        raise DataError(f"tokenizer={path}: not a tokenizer.json: {' '.join(str(error).split())}") from None
    # Truncation and padding in the file are meant for a model's input; here every token of the text counts.
    tokenizer.no_truncation()
    tokenizer.no_padding()

    def measure(text: str) -> float:
        chunks = (text[start : start + CHUNK_CHARACTERS] for start in range(0, len(text), CHUNK_CHARACTERS))
        tokens = sum(len(tokenizer.encode(chunk, add_special_tokens=False)) for chunk in chunks)
        return round(tokens / max(1, len(text)), 6)

    return measure


def extreme_tokenized_filter(step: ExtremeTokenized) -> DocumentFilter:
    """Writes tokens per character into the metadata; rejects values outside of the bounds, which are allowed values.

    Raises:
        DataError: when the filter is made, for a tokenizer that cannot be read.
    """
    measure = tokens_per_character(step.tokenizer)

    def apply(document: Document) -> FilterResult:
        value = measure(document.text)
        document.metadata["tokens_per_character"] = value
        return check_limits(
            [
                ("few_tokens_per_character", value, ">=", step.at_least),
                ("many_tokens_per_character", value, "<=", step.at_most),
            ]
        )

    return apply
