"""`general_chat`: small talk about a topic. The verifier checks form, topic, rudeness and repetition; what people
prefer is left to the reward model."""

from __future__ import annotations

import random

from pipeline.environments.answers import words
from pipeline.environments.problem import RIGHT, Environment, Problem, ProblemConfig, Verdict, malformed

_TOPICS = {
    "the sea": "deep and blue", "the moon": "round and bright", "music": "good for the heart",
    "bread": "warm and good", "rain": "soft and cool", "winter": "cold and white", "cats": "soft and clever",
    "dogs": "kind and true", "books": "full of ideas", "tea": "hot and good", "trees": "tall and green",
    "snow": "white and cold",
}  # fmt: skip
_QUESTIONS = (
    "Tell me about {}.",
    "What do you think of {}?",
    "Do you like {}?",
    "Let us talk about {}.",
    "Say something about {}.",
    "Any thoughts on {}?",
    "Please write about {}.",
    "Can we talk about {}?",
)
RUDE = frozenset({"stupid", "boring", "silly", "nonsense", "idiot"})


def sentence(topic: str) -> str:
    """One plain sentence about one of the environment's topics, e.g. "The sea is deep and blue."."""
    verb = "are" if topic.endswith("s") else "is"
    return f"{topic[0].upper()}{topic[1:]} {verb} {_TOPICS[topic]}."


def _generate(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    topic = draw.choice(tuple(_TOPICS))
    prompt = draw.choice(_QUESTIONS).format(topic)
    if problem_config.difficulty > 1:
        prompt += f" Use {draw.choice(('one sentence', 'two or three sentences', 'a short paragraph'))}."
        solution = f"{sentence(topic)} What do you think?"
    else:
        solution = f"I like {topic}. And you?"
    return Problem("general_chat", prompt, topic, solution, {"topic": topic})


def _grade(problem: Problem, completion: str) -> Verdict:
    text, said = completion.strip(), words(completion)
    if not said or not text.endswith((".", "!", "?")):
        return malformed("not a complete sentence")
    if RUDE & set(said):
        return Verdict(0.0, "rude")
    if words(str(problem.spec["topic"]))[-1] not in said:
        return Verdict(0.0, "off topic")
    repeated = max(map(said.count, set(said))) / len(said)
    if len(said) > 4 and repeated > 0.4:
        return Verdict(0.25, "repeats itself")
    return RIGHT


ENVIRONMENT = Environment("general_chat", _generate, _grade)
