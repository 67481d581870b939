"""`grounding`: a question about documents that the prompt gives. Right is the answer that one of them states, with the
number of that document in brackets, or saying that none does.

Difficulty 1 gives one document, 2 three and 3 six, among them others that state the same of something else.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable

from pipeline.environments.answers import abstains, words
from pipeline.environments.facts import Fact, Subject, foreign_terms, says, subjects
from pipeline.environments.problem import JSON, RIGHT, Environment, Problem, ProblemConfig, Verdict, malformed
from pipeline.environments.system_turns import documents_turn

UNCITED_SCORE = 0.5
"""Score of the right answer with another document's number, or with none."""
UNANSWERABLE_SHARE = 0.25
"""Share of questions that no document answers."""
NOT_STATED = "The documents do not say."
_CITING = "Give the number of the document that states the answer, as in [1]."
_OPENINGS = ("", "Please look it up: ", "I need to know: ", "Quick question: ", "For my notes: ")
_CITATION = re.compile(r"\[(?:doc(?:ument)?\s*)?(\d{1,3})\]", re.IGNORECASE)
_NEGATIONS = frozenset({"not", "never", "no", "nor", "neither", "isn", "wasn", "doesn"})
_ABSTAINS = ("not say", "not state", "not contain", "not mention", "no document", "none of the documents",
             "not answer", "not stated", "not in the documents")  # fmt: skip
_MOST_WORDS = 60


def _generate(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    count = {1: 1, 2: 3, 3: 6}[problem_config.difficulty]
    # Subjects of one kind, so that the documents differ in what they are about and not in what they state.
    about = subjects(draw, count, draw.choice(("town", "firm", "festival")))
    place = draw.randrange(count)
    stated: list[list[Fact]] = [draw.sample(subject.facts, 3) for subject in about]
    answerable = draw.random() >= UNANSWERABLE_SHARE
    unstated = [fact for fact in about[place].facts if fact not in stated[place]]
    fact = draw.choice(stated[place] if answerable else unstated)
    others: list[JSON] = [each.value for facts in stated for each in facts if each.key == fact.key and each is not fact]
    documents = [_document(number, *each) for number, each in enumerate(zip(about, stated, strict=True), 1)]
    prompt = draw.choice(_OPENINGS) + fact.question
    spec: dict[str, JSON] = {"document": place + 1 if answerable else None, "others": others}
    solution = f"{fact.short} [{place + 1}]" if answerable else NOT_STATED
    answer = str(fact.value) if answerable else ""
    return Problem("grounding", prompt, answer, solution, spec, documents_turn(documents, _CITING))


def _document(number: int, subject: Subject, facts: Iterable[Fact]) -> dict[str, JSON]:
    text = " ".join(fact.long for fact in facts)
    return {"doc_id": str(number), "title": f"About {subject.name}", "text": text}


def _grade(problem: Problem, completion: str) -> Verdict:
    spec, said = problem.spec, words(completion)
    document, others = spec["document"], spec["others"]
    assert isinstance(others, list)
    if not said:
        return malformed("no words")
    if len(said) > _MOST_WORDS:
        return Verdict(0.0, "too many words")
    cited = set(_CITATION.findall(completion))
    text = " ".join(said)
    unsure = abstains(completion) or any(phrase in text for phrase in _ABSTAINS)
    if document is None:
        if not unsure:
            return Verdict(0.0, "answers what no document states")
        return Verdict(0.0, "cites a document that states nothing") if cited else RIGHT
    if unsure:
        return Verdict(0.0, "does not find what a document states")
    if not says(completion, problem.answer):
        return Verdict(0.0, "another answer")
    if any(says(completion, str(other)) for other in others if str(other) != problem.answer):
        return Verdict(0.0, "several answers")
    if not _NEGATIONS.isdisjoint(said) or completion.rstrip().endswith("?"):
        return Verdict(0.0, "denies it, or asks")
    read = problem.prompt + "".join(text for _, text in problem.before)
    if foreign := foreign_terms(_CITATION.sub(" ", completion), read):
        return Verdict(0.0, f"says {foreign[0]:.40}, which no document states")
    return RIGHT if cited == {str(document)} else Verdict(UNCITED_SCORE, "cites another document, or none")


ENVIRONMENT = Environment("grounding", _generate, _grade)
