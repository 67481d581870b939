"""The language of replies: the one that was asked for, or that the record says."""

from __future__ import annotations

import re

from pipeline.curation.text.language_id import identify
from pipeline.posttraining.data.record import Conversation
from pipeline.posttraining.data.rules.code import without_code
from pipeline.posttraining.data.rules.violation import Violation

LANGUAGES = {
    "english": "en", "german": "de", "spanish": "es", "french": "fr", "japanese": "ja", "portuguese": "pt",
    "arabic": "ar", "czech": "cs", "italian": "it", "korean": "ko", "dutch": "nl", "chinese": "zh",
}  # fmt: skip
"""The twelve of Granite 4.1, which the identifier tells apart."""
LEAST_LETTERS = 40
"""Letters of a reply below which its language is a guess."""
CERTAIN = 0.9
"""Probability from which a reply is in another language."""
_NAMES = "|".join(LANGUAGES)
ASKED = re.compile(
    rf"\b(?:answer|reply|respond|write|explain|describe|summari[sz]e|translate|rewrite|tell me)\b[^.?!\n]{{0,80}}"
    rf"\b(?:in|into|to)\s+({_NAMES})\b",
    re.IGNORECASE,
)
ANY_LANGUAGE = re.compile(
    rf"\b(?:{_NAMES}|latin|greek|russian|polish|turkish|hindi|swedish|danish|norwegian|finnish|hebrew|ukrainian|romanian"
    r"|hungarian|vietnamese|thai|indonesian|catalan|translat\w*|languages?)\b",
    re.IGNORECASE,
)


def check_language(conversation: Conversation) -> Violation | None:
    """Rejects a last reply that is certainly in another of the twelve languages than was asked for."""
    wanted = wanted_language(conversation)
    if wanted not in LANGUAGES.values():
        return None
    prose = without_code(conversation.messages[-1]["content"])
    if sum(map(str.isalpha, prose)) < LEAST_LETTERS:
        return None
    found, probability = identify(prose)
    if found != wanted and found in LANGUAGES.values() and probability >= CERTAIN:
        return Violation("language", f"reply is in {found} ({probability:.2f})", found, wanted)
    return None


def wanted_language(conversation: Conversation) -> str:
    """The ISO 639-1 code of the language that the last question asks for, else that of the record; or nothing.

    Where a question is about languages in other words, what the record says does not count.
    """
    questions = [message["content"] for message in conversation.messages if message["role"] == "user"]
    last = questions[-1] if questions else ""
    asked = {LANGUAGES[found.lower()] for found in ASKED.findall(last)}
    if asked:
        return asked.pop() if len(asked) == 1 else ""
    return "" if any(map(ANY_LANGUAGE.search, questions)) else conversation.language
