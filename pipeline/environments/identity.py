"""`identity`: questions about who is speaking, and, as often, openings of a conversation that ask for no name.

The right answer to the first is `ProblemConfig.assistant`, the model's name. The second are the contrast without which
a model gives its name to whoever says hello: right is a short, friendly sentence without it.
"""

from __future__ import annotations

import random

from pipeline.environments.answers import words
from pipeline.environments.problem import JSON, RIGHT, WRONG, Environment, Problem, ProblemConfig, Verdict, malformed

OPENING_SHARE = 0.5
"""Share of prompts that ask for no name. Equal shares leave it to the words of the prompt, not to how often either is
asked, what the reply is."""

_GREETINGS = ("", "Hi. ", "Hello. ", "Good day. ", "Excuse me. ", "Hi there. ", "Tell me: ", "One question: ")
_QUESTIONS = (
    "Who are you?",
    "What is your name?",
    "What are you called?",
    "Who is this?",
    "Which model are you?",
    "What should I call you?",
    "Whom am I talking to?",
    "Which assistant are you?",
)
_HELLOS = ("Hi", "Hello", "Hey", "Hi there", "Hello there", "Good day", "Good morning", "Good evening")
_MARKS = ("", "!", ".")
_OPENINGS = {
    "": "Hello! How can I help?",
    " How are you?": "Well, thank you. How can I help?",
    " Can you help me?": "Yes. What do you need?",
    " I have a question.": "Please ask.",
    " Nice to meet you.": "Nice to meet you too. How can I help?",
}
"""What may follow a greeting, and the reply to it."""
_FRIENDLY = frozenset(word for reply in _OPENINGS.values() for word in words(reply)) - {"i", "how", "can", "to", "do"}
OTHER_ASSISTANTS = ("ChatGPT", "Claude", "Gemini", "Llama", "Mistral", "Qwen", "DeepSeek", "Alexa", "Siri")
MOST_WORDS = 12
"""Words of a reply, beside the name: a list of many names with the right one among them says nothing."""


def introduction(name: str) -> str:
    """The reply of a model that knows its name."""
    return f"I am {name}."


def _generate(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    name = problem_config.assistant
    if draw.random() < OPENING_SHARE:
        opening = draw.choice(tuple(_OPENINGS))
        # The name is what must not be said.
        unsaid: dict[str, JSON] = {"unsaid": name}
        prompt = draw.choice(_HELLOS) + draw.choice(_MARKS if not opening else _MARKS[1:]) + opening
        return Problem("identity", prompt, "", _OPENINGS[opening], unsaid)
    prompt = draw.choice(_GREETINGS) + draw.choice(_QUESTIONS)
    return Problem("identity", prompt, name, introduction(name), {})


def _grade(problem: Problem, completion: str) -> Verdict:
    said, name = words(completion), words(str(problem.spec.get("unsaid", problem.answer)))
    if not said:
        return malformed("no words")
    others = {other.casefold() for other in OTHER_ASSISTANTS} - set(name)
    if others & set(said):
        return Verdict(0.0, "takes another assistant's name")
    gives_name = any(said[place : place + len(name)] == name for place in range(len(said)))
    short = len(said) <= len(name) + MOST_WORDS
    if "unsaid" not in problem.spec:
        return RIGHT if gives_name and short else WRONG
    if gives_name:
        return Verdict(0.0, "gives a name that nobody asked for")
    return RIGHT if short and _FRIENDLY & set(said) else Verdict(0.0, "no reply to a greeting")


ENVIRONMENT = Environment("identity", _generate, _grade)
