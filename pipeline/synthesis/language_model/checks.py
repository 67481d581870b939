"""What is held against a reply before it is kept: its page, a computed answer, or a run."""

import json
import re
from typing import Any

from datatrove.data import Document

from pipeline.curation.audit.filter_result import LimitCheck, check_limits
from pipeline.curation.text.language_id import identify
from pipeline.curation.text.normalized_words import normalized_words
from pipeline.environments import verify
from pipeline.synthesis.language_model.prompts import ChainOfThought, Prompt, QuestionAnswers, Rephrase
from pipeline.synthesis.language_model.rollouts import Draft
from pipeline.synthesis.language_model.seeds import PROBLEM
from pipeline.synthesis.sample import Sample

COPIED_WORDS = 5
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
INNER_CAPITAL = re.compile(r"(?<=[\w,;] )[^\W\d_a-z]\w+")
"""A word with a capital that begins no sentence: where a script has capitals, nearly always a name."""
SPEAKS_OF_TASK = re.compile(r"\A(sure|certainly|of course|here(’|')?s?( is| are)?\b|as an ai\b)|rephras", re.IGNORECASE)
FENCE = re.compile(r"\A```(?:json)?\s*\n(.*?)\n```\s*\Z", re.DOTALL)


def check(name: str, prompt: Prompt, seed: Document, draft: Draft) -> Sample:
    """The sample of a draft, or one that says why it failed. For everything but code, which must run."""
    origin = f"language_model/{name}/{seed.id}"
    if draft.failure is not None:
        return Sample(
            prompt.domain, origin, draft.text, "none", failure=draft.failure, value=draft.value,
            threshold=draft.threshold,
        )  # fmt: skip
    if isinstance(prompt, ChainOfThought):
        return _graded(prompt, origin, seed, draft.text)
    if isinstance(prompt, QuestionAnswers):
        return _answered(prompt, origin, seed.text, draft.text)
    assert isinstance(prompt, Rephrase)
    return _rephrased(prompt, origin, seed.text, draft.text)


def _graded(prompt: ChainOfThought, origin: str, seed: Document, reply: str) -> Sample:
    question = str(seed.metadata[PROBLEM]["prompt"])
    text = f"Question: {question}\nAnswer: {reply}"
    if (words := len(reply.split())) < prompt.minimum_words:
        return Sample(
            prompt.domain, origin, text, "none", failure="no_reasons", value=words, threshold=prompt.minimum_words
        )
    verdict = verify(seed.metadata[PROBLEM], reply)
    failure = None if verdict.score == 1.0 else f"verifier_says_{verdict.reason.replace(' ', '_')}"
    return Sample(
        prompt.domain, origin, text, "graded", prompts=(question,), failure=failure,
        value=None if failure is None else verdict.score, threshold=None if failure is None else 1.0,
    )  # fmt: skip


def _answered(prompt: QuestionAnswers, origin: str, page: str, reply: str) -> Sample:
    """The page with those questions whose answers stand in it, word for word."""
    pairs = _pairs(reply)
    if pairs is None:
        return Sample(prompt.domain, origin, reply, "none", failure="not_the_wanted_json")
    page_words = _spaced(page)
    kept: dict[str, str] = {}
    for question, answer in pairs:
        answer_words = normalized_words(answer)[0]
        stands_there = f" {' '.join(answer_words)} " in page_words
        given_away = f" {' '.join(answer_words)} " in _spaced(question)
        if (
            question.endswith(("?", "？", "؟"))
            and 0 < len(answer_words) <= prompt.maximum_answer_words
            and stands_there
            and not given_away
        ):
            kept.setdefault(question, answer)
    if not kept:
        return Sample(prompt.domain, origin, reply, "none", failure="no_answer_in_the_page", value=0, threshold=1)
    chosen = list(kept.items())[: prompt.maximum_pairs]
    text = "\n\n".join([page, *(f"Question: {question}\nAnswer: {answer}" for question, answer in chosen)])
    return Sample(prompt.domain, origin, text, "answers stand in the page", prompts=tuple(each for each, _ in chosen))


def _pairs(reply: str) -> list[tuple[str, str]] | None:
    if (fenced := FENCE.match(reply)) is not None:
        reply = fenced.group(1)
    try:
        found: Any = json.loads(reply)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, list):
        return None
    pairs = []
    for each in found:
        if not isinstance(each, dict):
            return None
        question, answer = each.get("question"), each.get("answer")
        if not isinstance(question, str) or not isinstance(answer, str):
            return None
        pairs.append((" ".join(question.split()), " ".join(answer.split())))
    return pairs


def _spaced(text: str) -> str:
    return f" {' '.join(normalized_words(text)[0])} "


def _rephrased(prompt: Rephrase, origin: str, page: str, reply: str) -> Sample:
    """The reply, if it says what the page says, in other words, and nothing else."""
    page_words, words = normalized_words(page)[0], normalized_words(reply)[0]
    if SPEAKS_OF_TASK.search(reply):
        return Sample(prompt.domain, origin, reply, "none", failure="speaks_of_the_task")
    if identify(reply)[0] != identify(page)[0]:
        return Sample(prompt.domain, origin, reply, "none", failure="another_language")
    vocabulary = set(page_words)
    names = [normalized_words(name)[0] for name in INNER_CAPITAL.findall(reply)]
    numbers, page_numbers = NUMBER.findall(reply), set(NUMBER.findall(page))
    measured: tuple[LimitCheck, ...] = (
        ("too_short", len(words) / max(len(page_words), 1), ">=", prompt.minimum_length),
        ("too_long", len(words) / max(len(page_words), 1), "<=", prompt.maximum_length),
        ("copied", _share([run in _runs(page_words) for run in _runs(words)], 0.0), "<=", prompt.maximum_copied),
        ("numbers_not_in_the_page", _share([each in page_numbers for each in numbers]), ">=", prompt.minimum_numbers),
        ("names_not_in_the_page", _share([set(each) <= vocabulary for each in names]), ">=", prompt.minimum_names),
    )
    removal = check_limits(measured).removal
    if removal is None:
        return Sample(prompt.domain, origin, reply, "held against the page")
    return Sample(
        prompt.domain, origin, reply, "none", failure=removal.reason, value=removal.value, threshold=removal.threshold
    )


def _runs(words: list[str]) -> set[tuple[str, ...]]:
    return {tuple(words[start : start + COPIED_WORDS]) for start in range(len(words) - COPIED_WORDS + 1)}


def _share(found: list[bool], of_none: float = 1.0) -> float:
    return sum(found) / len(found) if found else of_none
