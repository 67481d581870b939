"""`summarization`: a text in few words. Right keeps the facts that the prompt names, within the limit of words, and
says no number and no name that the text does not have.

Difficulty 1 gives a text of four facts to keep one of, 2 one of eight to keep two of, and 3 one of fifteen to keep
three of.
"""

from __future__ import annotations

import random

from pipeline.environments.answers import words
from pipeline.environments.facts import foreign_terms, says, subjects
from pipeline.environments.problem import JSON, RIGHT, Environment, Problem, ProblemConfig, Verdict, malformed

TOO_LONG_SCORE = 0.25
"""Score of a reply that keeps all facts and is longer than asked, as long as it is shorter than the text."""
SPARE_WORDS = 8
"""Words of the limit beyond the reference's."""
_ASKS = ("Summarize this text in at most {} words.", "Sum up the text in no more than {} words.",
         "Give a summary of at most {} words.", "Shorten this text to {} words or fewer.")  # fmt: skip
_NEGATIONS = frozenset({"not", "never", "no", "nor", "neither", "isn", "wasn", "doesn", "hasn"})
_FILLERS = (
    "The weather that year was mild.", "Old letters tell the same story.", "Few people remember why.",
    "The road there is narrow and steep.", "Children learn this at school.", "A small book was written about it.",
    "Some say that it was better in former times.", "The archive is open in the mornings.",
)  # fmt: skip


def _generate(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    about = subjects(draw, {1: 1, 2: 2, 3: 3}[problem_config.difficulty])
    told = [(subject, fact) for subject in about for fact in draw.sample(subject.facts, 4 if len(about) < 3 else 5)]
    kept = draw.sample(told, len(about))
    sentences = [fact.long for _, fact in told] + draw.sample(_FILLERS, 1 + len(about))
    draw.shuffle(sentences)
    text, solution = " ".join(sentences), " ".join(fact.short for _, fact in kept)
    # The text alone is not enough to copy: the limit lies far below its length.
    limit = len(solution.split()) + SPARE_WORDS
    wanted = ", ".join(f"the {fact.label} of {subject.name}" for subject, fact in kept)
    prompt = f"{draw.choice(_ASKS).format(limit)} Keep {wanted}.\n\n{text}"
    facts: list[JSON] = [{"name": subject.name, "value": fact.value} for subject, fact in kept]
    return Problem("summarization", prompt, solution, solution, {"facts": facts, "limit": limit, "text": text})


def _grade(problem: Problem, completion: str) -> Verdict:
    facts, limit, text = problem.spec["facts"], problem.spec["limit"], str(problem.spec["text"])
    assert isinstance(facts, list)
    assert isinstance(limit, int)
    said = words(completion)
    if not said or not completion.rstrip().endswith((".", "!")):
        return malformed("not a complete sentence")
    if len(completion.split()) > len(text.split()) // 2 + limit:
        return Verdict(0.0, "no shorter than the text")
    if foreign := foreign_terms(completion, text):
        return Verdict(0.0, f"says {foreign[0]:.40}, which the text does not")
    if not _NEGATIONS.isdisjoint(said):
        return Verdict(0.0, "denies something that the text does not")
    # A value counts in the sentence that has its subject's name: of another subject it would be false.
    sentences = completion.replace("!", ".").split(". ")
    kept = [
        any(says(sentence, str(fact["name"])) and says(sentence, str(fact["value"])) for sentence in sentences)
        for fact in facts
        if isinstance(fact, dict)
    ]
    share = sum(kept) / len(kept)
    if len(completion.split()) > limit:
        return Verdict(TOO_LONG_SCORE * share, "more words than asked for")
    return RIGHT if share == 1 else Verdict(0.5 * share, f"{len(kept) - sum(kept)} of {len(kept)} facts are missing")


ENVIRONMENT = Environment("summarization", _generate, _grade)
