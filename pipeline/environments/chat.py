"""`general_chat`: small talk about a topic, at difficulty 3 in twelve languages.

The verifier checks form, language, topic, rudeness and repetition, also of the prompt; what people prefer is left to
the reward model.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from itertools import pairwise

from pipeline.environments.answers import words
from pipeline.environments.chat_phrases import EASY_ASKS, EASY_TOPICS, FORMS, NEW_TOPICS, PHRASES
from pipeline.environments.easy_words import known_or_invented
from pipeline.environments.extraction import reply
from pipeline.environments.languages import language_of
from pipeline.environments.problem import JSON, RIGHT, Environment, Problem, ProblemConfig, Verdict, malformed

RUDE = frozenset({"stupid", "boring", "silly", "nonsense", "idiot"})
ENGLISH_SHARE = 0.5
"""Share of English at difficulty 3; the other eleven languages have equal shares of the rest."""
MOST_COPIED = 0.7
"""Most of a reply's pairs of neighbors that may be the prompt's: a reply that says a question again answers nothing."""
MOST_TOPICS = 3
"""Most topics that a reply may name: a list of all has the right one in it."""
_ENDS = (".", "!", "?", "\u3002", "\uff01", "\uff1f", "\u061f")
_END = re.compile(r"[.!?\u061f]+(?=\s|$)|[\u3002\uff01\uff1f]+")
_SENTENCES = {"one": (1, 1), "few": (2, 3), "paragraph": (3, 6)}
"""Fewest and most sentences of the forms that limit them."""


def _solution(language: str, topic: str, form: str | None) -> str:
    phrases = PHRASES[language]
    said, (first, second) = phrases.topics.get(topic) or NEW_TOPICS[topic], phrases.more
    sentences = {
        "one": (said,),
        "paragraph": (said, first, second, phrases.question),
        "no_question": (said, first),
    }.get(form or "", (said, phrases.question))
    return ("" if language in ("ja", "zh") else " ").join(sentences)


def _generate(draw: random.Random, problem_config: ProblemConfig, topics: tuple[str, ...] | None = None) -> Problem:
    if problem_config.difficulty == 1:
        topic = known_or_invented(draw, topics or EASY_TOPICS, new=bool(topics), plural=True)
        prompt = draw.choice(EASY_ASKS).format(topic)
        return Problem("general_chat", prompt, topic, f"I like {topic}. And you?", {"topic": topic})
    english = bool(topics) or problem_config.difficulty == 2 or draw.random() < ENGLISH_SHARE
    language = "en" if english else draw.choice([each for each in PHRASES if each != "en"])
    phrases = PHRASES[language]
    topic, form = draw.choice(topics or tuple(phrases.topics)), draw.choice((None, *FORMS))
    prompt = draw.choice(phrases.openings) + draw.choice(phrases.asks).format(topic)
    if form is not None:
        prompt += ("" if language in ("ja", "zh") else " ") + phrases.forms[FORMS.index(form)]
    spec: dict[str, JSON] = {"topic": topic, "language": language, "form": form}
    return Problem("general_chat", prompt, topic, _solution(language, topic, form), spec)


def _new(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    return _generate(draw, problem_config, tuple(NEW_TOPICS))


def terse_reply(problem: Problem) -> str:
    """A short and plain reply, which the reward model is trained to like less; the solution where the prompt asks for
    a form that no shorter one has."""
    language, topic = str(problem.spec.get("language", "en")), str(problem.spec["topic"])
    if "language" not in problem.spec:
        return f"I like {topic}."
    short = PHRASES[language].topics[topic]
    return short if _grade(problem, short) == RIGHT else problem.solution


def _units(text: str, language: str) -> list[str]:
    """What a text is compared by: words, and characters where no spaces divide them."""
    said = words(text)
    return list("".join(said)) if language in ("ja", "zh") else said


def _names(topic: str, language: str, text: str, said: set[str]) -> bool:
    """Whether a text names a topic: an English one as a word, singular or plural, others by their stems."""
    # The last word: the first may be an article.
    noun = words(topic)[-1]
    if language == "en":
        return not said.isdisjoint((noun, f"{noun}s", noun.removesuffix("s")))
    return any(stem in text for stem in PHRASES[language].stems.get(topic, (noun,)))


def _grade(problem: Problem, completion: str) -> Verdict:
    completion = reply(completion)
    spec, text = problem.spec, completion.strip()
    language, topic = str(spec.get("language", "en")), str(spec["topic"])
    said = _units(completion, language)
    known, folded = set(said), text.casefold()
    on_topic = _names(topic, language, folded, known)
    if not said or not text.endswith(_ENDS):
        return malformed("not a complete sentence")
    if len(said) < 3:
        return malformed("a word or two")
    if RUDE & known:
        return Verdict(0.0, "rude")
    if not on_topic:
        return Verdict(0.0, "off topic")
    if "language" in spec and language_of(text) not in (language, None):
        return Verdict(0.0, "another language")
    if sum(_names(each, language, folded, known) for each in PHRASES[language].topics) > MOST_TOPICS:
        return Verdict(0.0, "names every topic")
    asked, pairs = set(pairwise(_units(problem.prompt, language))), list(pairwise(said))
    if known <= set(_units(problem.prompt, language)) or sum(map(asked.__contains__, pairs)) > MOST_COPIED * len(pairs):
        return Verdict(0.0, "says the prompt again")
    if len(said) > 4 and max(Counter(said).values()) > 0.4 * len(said):
        return Verdict(0.25, "repeats itself")
    return _check_form(spec.get("form"), text)


def _check_form(form: JSON, text: str) -> Verdict:
    sentences = len(_END.findall(text))
    fewest, most = _SENTENCES.get(str(form), (1, sentences))
    if not fewest <= sentences <= most:
        return Verdict(0.5, f"{sentences} sentences")
    asks = any(mark in text for mark in ("?", "\uff1f", "\u061f"))
    if form == "question" and not text.endswith(("?", "\uff1f", "\u061f")):
        return Verdict(0.5, "does not end with a question")
    if form == "no_question" and asks:
        return Verdict(0.5, "asks a question")
    return RIGHT


ENVIRONMENT = Environment("general_chat", _generate, _grade, dict.fromkeys((1, 2, 3), _new))
