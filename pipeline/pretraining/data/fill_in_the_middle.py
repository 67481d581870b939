"""Fill in the middle: spans of documents rearranged, so that a model learns to write what is missing between two ends.

Bavarian et al. 2022 (arXiv 2207.14255): characters are cut at two random places, so that tokens are split as an editor
splits them; inside a sequence and not before packing ("context-level"), so that no rearranged document is cut; half of
them prefix-suffix-middle (PSM), half suffix-prefix-middle (SPM, in the form that starts as PSM does).
"""

import hashlib
from pathlib import Path

import numpy
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from pipeline.core.errors import ConfigError
from pipeline.pretraining.config import FillInTheMiddleConfig
from pipeline.tokenization.special_tokens import FIM_MIDDLE, FIM_PREFIX, FIM_SUFFIX
from pipeline.tokenization.tokenizer import beginning_of, document_tokenizer

MINIMUM_TOKENS = 16
"""Tokens that a sequence must have of a document for them to be rearranged."""
REPLACEMENT_CHARACTER = "\ufffd"
"""What bytes that are no UTF-8 are decoded to: such text could not be encoded back."""


class FillInTheMiddle:
    """Rearranges the spans that a sequence has of documents: a pure function of its tokens and of a key."""

    def __init__(self, config: FillInTheMiddleConfig, tokenizer: Path) -> None:
        """Loads the tokenizer that made the tokens from its Hugging Face folder, and what it begins documents with.

        Raises:
            ConfigError: for a tokenizer without the three special tokens.
        """
        self._config, self._tokenizer = config, document_tokenizer(tokenizer)
        with_special_tokens, self._special_ids = Tokenizer.from_file(str(tokenizer / "tokenizer.json")), []
        for token in (FIM_PREFIX, FIM_MIDDLE, FIM_SUFFIX):
            token_id = with_special_tokens.token_to_id(token)
            if token_id is None:
                raise ConfigError(f"{tokenizer}: has no {token}; set fill_in_the_middle to null, or use one that has")
            self._special_ids.append(token_id)
        self._beginning = beginning_of(AutoTokenizer.from_pretrained(tokenizer))

    def __call__(self, window: numpy.ndarray, document_ends: numpy.ndarray, key: str) -> numpy.ndarray:
        """The tokens of a sequence with some of its spans rearranged, each in its place and of its length.

        Args:
            window: token ids, shape (n,).
            document_ends: where documents end in the window, each after its end-of-text token, which stays there.
            key: what the random choices depend on, besides the tokens.
        """
        digest = hashlib.sha256(key.encode()).digest()
        generator = numpy.random.Generator(numpy.random.Philox(int.from_bytes(digest[:8], "big")))
        result = window.copy()
        start = 0
        for end in (*document_ends.tolist(), len(window) + 1):
            # All draws are made for every span, so that one span's length does not move those of the next.
            chosen, spm = generator.random() < self._config.rate, generator.random() < self._config.spm_share
            cuts = generator.random(2)
            if chosen and end - 1 - start >= MINIMUM_TOKENS:
                # What a tokenizer from elsewhere puts before each document stays before it, and is no text.
                text = start + self._beginning_length(window[start : end - 1])
                result[text : end - 1] = self._rearrange(window[text : end - 1], sorted(cuts.tolist()), spm)
            start = end
        return result

    def _beginning_length(self, span: numpy.ndarray) -> int:
        """How many of the span's first tokens begin a document; none if it goes on with one, or none has any."""
        length = len(self._beginning)
        return length if tuple(span[:length].tolist()) == self._beginning else 0

    def _rearrange(self, tokens: numpy.ndarray, cuts: list[float], spm: bool) -> numpy.ndarray:
        """A span in its new order; as it was if it is no text of its own, or has no room for the special tokens.

        Three special tokens come in, and the two cuts may split a token each; as many tokens are taken from the end of
        the suffix, so that the length stays.

        Args:
            tokens: ids, shape (n,), without an end-of-text token.
            cuts: the two ends of the middle, as shares of the text's characters, ascending.
            spm: suffix, prefix, middle; else prefix, suffix, middle.
        """
        text = self._tokenizer.decode(tokens.tolist(), skip_special_tokens=False)
        if REPLACEMENT_CHARACTER in text:
            return tokens
        first, second = (round(cut * len(text)) for cut in cuts)
        prefix, middle, suffix = (
            self._tokenizer.encode(part, add_special_tokens=False).ids
            for part in (text[:first], text[first:second], text[second:])
        )
        excess = len(prefix) + len(middle) + len(suffix) + 3 - len(tokens)
        if not 0 <= excess <= len(suffix):
            return tokens
        suffix = suffix[: len(suffix) - excess]
        prefix_id, middle_id, suffix_id = self._special_ids
        order = [prefix_id, suffix_id, *suffix, middle_id, *prefix, *middle] if spm else [
            prefix_id, *prefix, suffix_id, *suffix, middle_id, *middle
        ]  # fmt: skip
        return numpy.array(order, dtype=tokens.dtype)
