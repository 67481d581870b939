"""`identity`: questions about who is speaking. The right answer is `ProblemConfig.assistant`, the model's name."""

from __future__ import annotations

import random

from pipeline.environments.answers import words
from pipeline.environments.problem import RIGHT, WRONG, Environment, Problem, ProblemConfig, Verdict, malformed

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
OTHER_ASSISTANTS = ("ChatGPT", "Claude", "Gemini", "Llama", "Mistral", "Qwen", "DeepSeek", "Alexa", "Siri")


def introduction(name: str) -> str:
    """The reply of a model that knows its name."""
    return f"I am {name}."


def _generate(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    prompt = draw.choice(_GREETINGS) + draw.choice(_QUESTIONS)
    return Problem("identity", prompt, problem_config.assistant, introduction(problem_config.assistant), {})


def _grade(problem: Problem, completion: str) -> Verdict:
    said, name = words(completion), words(problem.answer)
    if not said:
        return malformed("no words")
    others = {other.casefold() for other in OTHER_ASSISTANTS} - set(name)
    if others & set(said):
        return Verdict(0.0, "takes another assistant's name")
    gives_name = any(said[place : place + len(name)] == name for place in range(len(said)))
    # A short statement: a list of many names with the right one among them says nothing.
    return RIGHT if gives_name and len(said) <= len(name) + 12 else WRONG


ENVIRONMENT = Environment("identity", _generate, _grade)
