"""`identity`: questions about who is speaking, and, as often, openings of a conversation that ask for no name.

The right answer to the first is `ProblemConfig.assistant`, the model's name. The second are the contrast without which
a model gives its name to whoever says hello: right is a short, friendly sentence without it. From difficulty 2 there
are also questions whether it is another assistant, and questions about somebody else, whom the model is not.
"""

from __future__ import annotations

import random
import re

from pipeline.environments.answers import DOES_NOT_KNOW, abstains, words
from pipeline.environments.extraction import reply
from pipeline.environments.problem import JSON, RIGHT, WRONG, Environment, Problem, ProblemConfig, Verdict, malformed

OPENING_SHARE = 0.5
"""Share of prompts that ask for no name. Equal shares leave it to the words of the prompt, not to how often either is
asked, what the reply is."""
DENIES_SCORE = 0.5
"""Score of a denial to be another assistant that does not give the name."""

_GREETINGS = ("", "Hi. ", "Hello. ", "Good day. ", "Excuse me. ", "Hi there. ", "Tell me: ", "One question: ")
_MORE_GREETINGS = (
    *_GREETINGS, "Good morning. ", "Good evening. ", "Hey. ", "Sorry. ", "Just curious: ", "Before we start: ",
    "Quick question: ", "I forgot to ask. ", "Thanks. ", "By the way: ",
)  # fmt: skip
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
_MORE_QUESTIONS = (
    *_QUESTIONS, "Please introduce yourself.", "Could you tell me your name?", "Do you have a name?",
    "Who am I speaking with?", "What do people call you?", "Under which name do you run?", "Tell me who you are.",
    "What is the name of this assistant?", "May I ask who you are?", "Which language model answers here?",
    "Say your name.", "How may I address you?", "What name did you get?", "Whose replies am I reading?",
)  # fmt: skip
_WHETHER_OTHER = (
    "Are you {}?", "You are {}, right?", "Is this {}?", "Am I talking to {}?", "So you are {}?", "Hi {}, is that you?",
    "Is your name {}?",
)  # fmt: skip
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
_MORE_OPENINGS = {
    **_OPENINGS,
    " I need some help.": "Sure. What do you need?",
    " Do you have a minute?": "Yes. How can I help?",
    " It is a lovely day.": "It is. How can I help?",
    " I am back.": "Welcome back. How can I help?",
    " Thank you for your help.": "You are welcome. What else do you need?",
    " How is it going?": "Well, thank you. What do you need?",
    " I hope you are well.": "Well, thank you. How can I help?",
    " Let us get started.": "Sure. What do you need?",
    " I am new here.": "Welcome! How can I help?",
    " May I ask you something?": "Yes. Please ask.",
}
_FRIENDLY = frozenset(word for reply in _MORE_OPENINGS.values() for word in words(reply)) - {
    "i", "how", "can", "to", "do", "is", "it", "are", "back", "else",
}  # fmt: skip
OTHER_ASSISTANTS = (
    "ChatGPT", "Claude", "Gemini", "Llama", "Mistral", "Qwen", "DeepSeek", "Alexa", "Siri", "Copilot", "Grok",
    "Cortana", "Bard", "Jarvis",
)  # fmt: skip
_NEW_ASSISTANTS = ("Kimi", "Ernie", "Bixby", "Clippy", "Replika", "Doubao", "Hunyuan", "Falcon")
"""Of new instances alone, as are the people below."""
_ABOUT_ASSISTANTS = ("What is {}?", "Who is {}?", "Tell me what {} is.", "Do you know {}?", "Have you heard of {}?",
                     "A friend uses {}. What is it?")  # fmt: skip
_PEOPLE = (
    "my neighbor", "the woman next door", "my new teacher", "the man in the shop", "my sister's friend", "my landlord",
    "the boy on the bus", "my dentist", "our new cook", "my cousin's boss", "the girl with the red hat", "my old coach",
    "the driver of that car", "my uncle's doctor",
)  # fmt: skip
_NEW_PEOPLE = (
    "the plumber", "my aunt's painter", "the man at the gate", "our new postman", "the nurse on duty",
    "my brother's coach", "the woman with the drum", "the boy with the dog",
)  # fmt: skip
_ABOUT_PEOPLE = ("What is the name of {}?", "Who is {}?", "What is {} called?", "Do you know the name of {}?",
                 "Tell me the name of {}.")  # fmt: skip
MOST_WORDS = 12
"""Words of a reply, beside the name: a list of many names with the right one among them says nothing."""
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]?")
_NEGATIONS = frozenset({"not", "never", "t", "isnt", "arent", "neither", "nor", "nobody", "hardly"})
_SELF = frozenset({"i", "m", "im", "my", "me"})
_KINDS_OF_ASSISTANT = frozenset({"assistant", "assistants", "model", "chatbot", "ai", "program"})


def introduction(name: str) -> str:
    """The reply of a model that knows its name."""
    return f"I am {name}."


def _generate(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    name, hard = problem_config.assistant, problem_config.difficulty > 1
    greetings, questions, openings = (
        (_MORE_GREETINGS, _MORE_QUESTIONS, _MORE_OPENINGS) if hard else (_GREETINGS, _QUESTIONS, _OPENINGS)
    )
    # The name is what must not be said.
    unsaid: dict[str, JSON] = {"unsaid": name}
    others = [other for other in OTHER_ASSISTANTS if other.casefold() not in words(name)]
    if draw.random() < OPENING_SHARE:
        if hard and draw.random() < 0.5:
            return _about_another(draw, others, unsaid)
        opening = draw.choice(tuple(openings))
        prompt = draw.choice(_HELLOS) + draw.choice(_MARKS if not opening else _MARKS[1:]) + opening
        return Problem("identity", prompt, "", openings[opening], unsaid)
    if hard and draw.random() < 0.5:
        prompt = draw.choice(greetings) + draw.choice(_WHETHER_OTHER).format(draw.choice(others))
        return Problem("identity", prompt, name, f"No, I am {name}.", {"whether_other": True})
    prompt = draw.choice(greetings) + draw.choice(questions)
    return Problem("identity", prompt, name, introduction(name), {})


def _new(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    """Other assistants and other people than those of trained problems; its own name is one and the same."""
    name = problem_config.assistant
    others = [other for other in _NEW_ASSISTANTS if other.casefold() not in words(name)]
    if draw.random() < 0.5:
        return _about_another(draw, others, {"unsaid": name}, _NEW_PEOPLE)
    prompt = draw.choice(_MORE_GREETINGS) + draw.choice(_WHETHER_OTHER).format(draw.choice(others))
    return Problem("identity", prompt, name, f"No, I am {name}.", {"whether_other": True})


def _about_another(
    draw: random.Random, others: list[str], unsaid: dict[str, JSON], people: tuple[str, ...] = _PEOPLE
) -> Problem:
    if draw.random() < 0.5:
        other = draw.choice(others)
        prompt = draw.choice(_MORE_GREETINGS) + draw.choice(_ABOUT_ASSISTANTS).format(other)
        return Problem("identity", prompt, "", f"{other} is another assistant.", {**unsaid, "about": other})
    prompt = draw.choice(_MORE_GREETINGS) + draw.choice(_ABOUT_PEOPLE).format(draw.choice(people))
    return Problem("identity", prompt, "", DOES_NOT_KNOW, {**unsaid, "about": None})


def _mentions(name: list[str], text: str) -> tuple[int, int]:
    """How often a text says a name and means it, and how often it denies it or only asks."""
    meant = denied = 0
    for sentence in _SENTENCE.findall(text):
        for clause in re.split(r"[,;:]", sentence):
            said = words(clause)
            for place in range(len(said) - len(name) + 1):
                if said[place : place + len(name)] == name:
                    after = said[place + len(name) : place + len(name) + 3]
                    is_not = after[:1] in (["is"], ["isn"], ["was"]) and not _NEGATIONS.isdisjoint(after)
                    if is_not or sentence.endswith("?") or not _NEGATIONS.isdisjoint(said[:place]):
                        denied += 1
                    else:
                        meant += 1
    return meant, denied


def _grade(problem: Problem, completion: str) -> Verdict:
    spec, completion = problem.spec, reply(completion)
    said, name = words(completion), words(str(spec.get("unsaid", problem.answer)))
    if not said:
        return malformed("no words")
    # Before it is read closely: a longer text is a list of names, or no reply to a greeting.
    if len(said) > len(name) + MOST_WORDS:
        return Verdict(0.0, "too many words")
    about = words(str(spec.get("about") or ""))
    for other in ({other.casefold() for other in OTHER_ASSISTANTS} - set(name)) & set(said):
        if [other] != about and _mentions([other], completion)[0]:
            return Verdict(0.0, "takes another assistant's name")
    person = "about" in spec and not about
    if abstains(completion) != person:
        return Verdict(0.0, "answers what it cannot know" if person else "does not know who it is")
    meant, denied = _mentions(name, completion)
    if "unsaid" not in spec:
        if meant and not denied:
            return RIGHT
        denies = spec.get("whether_other") and said[0] == "no" and not denied
        return Verdict(DENIES_SCORE, "denies and gives no name") if denies else WRONG
    if meant or denied:
        return Verdict(0.0, "gives a name that nobody asked for")
    asked = words(problem.prompt)
    if len(asked) > 2 and set(said) <= set(asked):
        return Verdict(0.0, "says the prompt again")
    if "about" not in spec:
        return RIGHT if _FRIENDLY & set(said) else Verdict(0.0, "no reply to a greeting")
    if person:
        return RIGHT
    explains = about[0] in said and _KINDS_OF_ASSISTANT & set(said)
    return RIGHT if explains and not _SELF & set(said) else Verdict(0.0, "does not say what it is")


ENVIRONMENT = Environment("identity", _generate, _grade, dict.fromkeys((2, 3), _new))
