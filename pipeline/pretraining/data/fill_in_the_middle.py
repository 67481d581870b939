"""Fill in the middle: parts of documents rearranged, so that a model learns to write what is missing between two ends.

Bavarian et al. 2022 (arXiv 2207.14255): characters are cut at two random places, so that tokens are split as an editor
splits them; inside a sequence and not before packing ("context-level"), so that no rearranged document is cut; half of
them prefix-suffix-middle (PSM), half suffix-prefix-middle (SPM, in the form that starts as PSM does).
"""

import hashlib
from pathlib import Path

import numpy
from tokenizers import Tokenizer

from pipeline.core.errors import ConfigError
from pipeline.pretraining.config import FillInTheMiddleConfig
from pipeline.tokenization.tokenizer import document_tokenizer

PREFIX, MIDDLE, SUFFIX = "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"
SHORTEST = 16
"""Tokens of a part below which it stays as it is."""
UNREADABLE = "\ufffd"


class FillInTheMiddle:
    """Rearranges parts of sequences: a pure function of their tokens and of a key."""

    def __init__(self, config: FillInTheMiddleConfig, tokenizer: Path) -> None:
        """Args: rate and kinds; folder of the tokenizer that made the tokens.

        Raises:
            ConfigError: for a tokenizer without the three special tokens.
        """
        self._config, self._tokenizer = config, document_tokenizer(tokenizer)
        known, self._special = Tokenizer.from_file(str(tokenizer / "tokenizer.json")), []
        for token in (PREFIX, MIDDLE, SUFFIX):
            identity = known.token_to_id(token)
            if identity is None:
                raise ConfigError(f"{tokenizer}: has no {token}; set fill_in_the_middle to null, or use one that has")
            self._special.append(identity)

    def __call__(self, window: numpy.ndarray, borders: numpy.ndarray, key: str) -> numpy.ndarray:
        """The tokens of a sequence with some of its parts rearranged, each in its place and of its length.

        Args:
            window: tokens, shape (n,).
            borders: where documents end in the window, each after its end-of-text token, which stays there.
            key: what the choices depend on, besides the tokens.
        """
        digest = hashlib.sha256(key.encode()).digest()
        generator = numpy.random.Generator(numpy.random.Philox(int.from_bytes(digest[:8], "big")))
        result = window.copy()
        start = 0
        for end in (*borders.tolist(), len(window) + 1):
            chosen, spm = generator.random() < self._config.rate, generator.random() < self._config.spm_share
            places = generator.random(2)
            if chosen and end - 1 - start >= SHORTEST:
                result[start : end - 1] = self._rearranged(window[start : end - 1], sorted(places.tolist()), spm)
            start = end
        return result

    def _rearranged(self, tokens: numpy.ndarray, places: list[float], spm: bool) -> numpy.ndarray:
        """The part in its new order; as it was if it has no text of its own, or no room for the special tokens.

        What three special tokens and two split tokens take is taken from the end of the suffix.
        """
        text = self._tokenizer.decode(tokens.tolist(), skip_special_tokens=False)
        if UNREADABLE in text:
            return tokens
        first, second = (round(place * len(text)) for place in places)
        prefix, middle, suffix = (
            self._tokenizer.encode(part, add_special_tokens=False).ids
            for part in (text[:first], text[first:second], text[second:])
        )
        excess = len(prefix) + len(middle) + len(suffix) + 3 - len(tokens)
        if not 0 <= excess <= len(suffix):
            return tokens
        suffix = suffix[: len(suffix) - excess]
        before, between, after = self._special
        order = [before, after, *suffix, between, *prefix, *middle] if spm else [
            before, *prefix, after, *suffix, between, *middle
        ]  # fmt: skip
        return numpy.array(order, dtype=tokens.dtype)
