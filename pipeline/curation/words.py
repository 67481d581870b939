"""datatrove's English word tokenizer, made fast: tokenizing is most of what its filters and MinHash cost.

spaCy looks at one chunk between white space after the other. The words of a chunk are remembered, and so are
those of the last text, which each filter asks for anew. The words are the same; only the time is not.
"""

from functools import lru_cache

from datatrove.utils.word_tokenizers import SpaCyTokenizer, load_word_tokenizer

ENGLISH = "eng"
MOST_CHUNKS = 500_000
"""Chunks to remember, some 100 MB; then the memory starts afresh."""
LONGEST_CHUNK = 40
"""Characters. Longer chunks are addresses and data, which do not come back."""


class ChunkWords:
    """Words of texts, by way of the words of their chunks."""

    def __init__(self, tokenizer: SpaCyTokenizer) -> None:
        # Without the sentence splitter, which decides nothing about words.
        self._split = tokenizer.tokenizer.tokenizer
        self._chunks: dict[str, tuple[str, ...]] = {}

    def __call__(self, text: str) -> list[str]:
        """The words of a text."""
        words: list[str] = []
        for chunk in text.split():
            found = self._chunks.get(chunk)
            if found is None:
                found = tuple(word for token in self._split(chunk) if (word := token.text.strip()))
                if len(self._chunks) >= MOST_CHUNKS:
                    self._chunks.clear()
                if len(chunk) <= LONGEST_CHUNK:
                    self._chunks[chunk] = found
            words += found
        return words


@lru_cache
def make_fast(language: str) -> None:
    """Lets the tokenizer of a language, which all steps of a process share, remember what it has seen."""
    tokenizer = load_word_tokenizer(language)
    tokenize = tokenizer.word_tokenize
    # Other languages do not all split at white space first.
    if language == ENGLISH and isinstance(tokenizer, SpaCyTokenizer):
        tokenize = ChunkWords(tokenizer)
    vars(tokenizer)["word_tokenize"] = lru_cache(maxsize=1)(tokenize)
