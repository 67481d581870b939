"""Checks of a reply against the page or problem that it is about; `code_checks` has the check of programs."""

import json
import re
from typing import Any

from datatrove.data import Document

from pipeline.curation.audit.filter_result import LimitCheck, check_limits
from pipeline.curation.text.language_id import identify
from pipeline.curation.text.normalized_words import normalized_words
from pipeline.environments import verify
from pipeline.synthesis.language_model.prompt_templates import ChainOfThought, PromptTemplate, QuestionAnswers, Rephrase
from pipeline.synthesis.language_model.rollouts import UncheckedReply
from pipeline.synthesis.language_model.seeds import PROBLEM
from pipeline.synthesis.sample import Sample

COPIED_NGRAM_WORDS = 5
"""Words of the n-grams that `maximum_copied` counts."""
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
INNER_CAPITAL = re.compile(r"(?<=[\w,;] )[^\W\d_a-z]\w+")
"""A word with a capital that does not begin a sentence: where a script has capitals, nearly always a name."""
TALK_ABOUT_TASK = re.compile(
    r"\A(sure|certainly|of course|here(’|')?s?( is| are)?\b|as an ai\b)|rephras", re.IGNORECASE
)
JSON_FENCE = re.compile(r"\A```(?:json)?\s*\n(.*?)\n```\s*\Z", re.DOTALL)


def check(name: str, prompt: PromptTemplate, seed: Document, completion: UncheckedReply) -> Sample:
    """Turns a completion into a sample, which says how it was checked or why it failed.

    For prompts of every kind but `code_with_tests`.

    Args:
        name: the prompt's name, for the sample's origin.
        prompt: what was asked, with the limits of the check.
        seed: the document that the model was asked about.
        completion: what it wrote.
    """
    origin = f"language_model/{name}/{seed.id}"
    if completion.failure is not None:
        return Sample(
            prompt.domain, origin, completion.text, "none", failure=completion.failure, value=completion.value,
            threshold=completion.threshold,
        )  # fmt: skip
    if isinstance(prompt, ChainOfThought):
        return _check_chain_of_thought(prompt, origin, seed, completion.text)
    if isinstance(prompt, QuestionAnswers):
        return _check_question_answers(prompt, origin, seed.text, completion.text)
    assert isinstance(prompt, Rephrase)
    return _check_rephrase(prompt, origin, seed.text, completion.text)


def _check_chain_of_thought(prompt: ChainOfThought, origin: str, seed: Document, reply: str) -> Sample:
    """The question with the reply, if that gives reasons and the environment's verifier finds the computed answer."""
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


def _check_question_answers(prompt: QuestionAnswers, origin: str, page: str, reply: str) -> Sample:
    """The page followed by the questions whose answers it has word for word, and that do not give them away."""
    pairs = _parse_pairs(reply)
    if pairs is None:
        return Sample(prompt.domain, origin, reply, "none", failure="not_the_wanted_json")
    page_words = _spaced_words(page)
    kept: dict[str, str] = {}
    for question, answer in pairs:
        answer_words = normalized_words(answer)[0]
        stands_there = f" {' '.join(answer_words)} " in page_words
        given_away = f" {' '.join(answer_words)} " in _spaced_words(question)
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


def _parse_pairs(reply: str) -> list[tuple[str, str]] | None:
    """The questions and answers of a JSON list of objects, in a code fence or not; None for any other text."""
    if (fenced := JSON_FENCE.match(reply)) is not None:
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


def _spaced_words(text: str) -> str:
    """The normalized words with one space around each, so that a phrase is found at word boundaries alone."""
    return f" {' '.join(normalized_words(text)[0])} "


def _check_rephrase(prompt: Rephrase, origin: str, page: str, reply: str) -> Sample:
    """The reply, if it has the page's language, its numbers and names and no others, and copies little of it."""
    page_words, words = normalized_words(page)[0], normalized_words(reply)[0]
    if TALK_ABOUT_TASK.search(reply):
        return Sample(prompt.domain, origin, reply, "none", failure="speaks_of_the_task")
    if identify(reply)[0] != identify(page)[0]:
        return Sample(prompt.domain, origin, reply, "none", failure="another_language")
    vocabulary, page_ngrams = set(page_words), _ngrams(page_words)
    names = [normalized_words(name)[0] for name in INNER_CAPITAL.findall(reply)]
    numbers, page_numbers = NUMBER.findall(reply), set(NUMBER.findall(page))
    measured: tuple[LimitCheck, ...] = (
        ("too_short", len(words) / max(len(page_words), 1), ">=", prompt.minimum_length),
        ("too_long", len(words) / max(len(page_words), 1), "<=", prompt.maximum_length),
        (
            "copied",
            _share([ngram in page_ngrams for ngram in _ngrams(words)], 0.0),
            "<=",
            prompt.maximum_copied,
        ),
        ("numbers_not_in_the_page", _share([each in page_numbers for each in numbers]), ">=", prompt.minimum_numbers),
        ("names_not_in_the_page", _share([set(each) <= vocabulary for each in names]), ">=", prompt.minimum_names),
    )
    removal = check_limits(measured).removal
    if removal is None:
        return Sample(prompt.domain, origin, reply, "held against the page")
    return Sample(
        prompt.domain, origin, reply, "none", failure=removal.reason, value=removal.value, threshold=removal.threshold
    )


def _ngrams(words: list[str]) -> set[tuple[str, ...]]:
    return {tuple(words[start : start + COPIED_NGRAM_WORDS]) for start in range(len(words) - COPIED_NGRAM_WORDS + 1)}


def _share(found: list[bool], of_none: float = 1.0) -> float:
    """The share of true values; `of_none` if there are no values."""
    return sum(found) / len(found) if found else of_none
