"""`calibration`: some questions can be answered, some cannot, and the right reply to those says so.

A question that can be answered has a look-alike that cannot: the color of snow and of my hat, a sum and a sum with a
number that nobody was told. So the words of a question alone do not decide.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from pipeline.environments.answers import DOES_NOT_KNOW, abstains, candidates, grade_choice, grade_number, words
from pipeline.environments.extraction import reply
from pipeline.environments.problem import JSON, RIGHT, Environment, Problem, ProblemConfig, Verdict, malformed

ABSTENTION_SCORE = 0.3
"""Score of "I do not know" where an answer exists: between wrong (0) and right (1), the shape of the reward in NeMo
Gym's abstention environment. Lower than its half, so that a model which never answers stays far behind."""
_NEGATIONS = frozenset({"not", "never", "t", "isnt"})
_NUMBER = re.compile(r"\d+")
UNANSWERABLE_SHARE = {1: 0.5, 2: 0.4, 3: 0.4}
"""By difficulty, the share of questions that nobody can answer."""

_COLORS = {
    "grass": "green", "snow": "white", "coal": "black", "milk": "white", "blood": "red", "the sky": "blue",
    "a leaf": "green", "the sun": "yellow", "a crow": "black", "a lemon": "yellow", "a tomato": "red",
    "the sea": "blue", "chocolate": "brown", "an elephant": "gray", "a polar bear": "white", "a flamingo": "pink",
    "a carrot": "orange", "a pumpkin": "orange", "a banana": "yellow", "a strawberry": "red", "a cucumber": "green",
    "an emerald": "green", "a ruby": "red", "a sapphire": "blue", "soot": "black", "ivory": "white",
    "a pea": "green", "an eggplant": "purple", "salt": "white", "honey": "yellow", "ketchup": "red", "moss": "green",
    "spinach": "green", "a dolphin": "gray", "ash": "gray", "mud": "brown", "coffee": "brown", "a gorilla": "black",
}  # fmt: skip
_OBJECTS = ("hat", "car", "door", "coat", "bag", "bike", "house", "cup", "dress", "pen", "shirt", "chair", "umbrella",
            "sofa", "phone", "scarf", "boat", "lamp", "clock", "blanket", "towel", "wallet")  # fmt: skip
_OWNERS = ("my", "my neighbour's", "the next visitor's", "my cousin's", "the mayor's", "a stranger's", "her uncle's",
           "my teacher's", "the baker's", "his sister's")  # fmt: skip
_QUESTIONS = ("What colour is {}?", "Which colour is {}?", "Tell me the colour of {}.", "{}: which colour?")

_CAPITALS = {
    "France": "Paris", "Italy": "Rome", "Spain": "Madrid", "Germany": "Berlin", "Austria": "Vienna", "Norway": "Oslo",
    "Japan": "Tokyo", "China": "Beijing", "Egypt": "Cairo", "Kenya": "Nairobi", "Peru": "Lima", "Chile": "Santiago",
    "Cuba": "Havana", "Greece": "Athens", "Poland": "Warsaw", "Hungary": "Budapest", "Portugal": "Lisbon",
    "Ireland": "Dublin", "Sweden": "Stockholm", "Finland": "Helsinki", "Denmark": "Copenhagen", "Belgium": "Brussels",
    "Turkey": "Ankara", "Iran": "Tehran", "Iraq": "Baghdad", "Thailand": "Bangkok", "Vietnam": "Hanoi",
    "Russia": "Moscow", "Ukraine": "Kyiv", "Croatia": "Zagreb", "Bulgaria": "Sofia", "Romania": "Bucharest",
    "Canada": "Ottawa", "Morocco": "Rabat", "Senegal": "Dakar", "Ghana": "Accra", "Uganda": "Kampala",
    "Latvia": "Riga", "Estonia": "Tallinn", "Nepal": "Kathmandu",
}  # fmt: skip
_OPPOSITES = {
    "hot": "cold", "big": "small", "fast": "slow", "old": "young", "high": "low", "long": "short", "wet": "dry",
    "light": "dark", "full": "empty", "strong": "weak", "early": "late", "open": "closed", "rich": "poor",
    "easy": "hard", "loud": "quiet", "near": "far", "thick": "thin", "wide": "narrow", "clean": "dirty",
    "happy": "sad", "left": "right", "up": "down", "inside": "outside", "true": "false",
}  # fmt: skip
_SPELLED = ("garden", "window", "bread", "mountain", "river", "candle", "yellow", "planet", "teacher", "bottle",
            "summer", "island", "butter", "kitchen", "forest", "pepper", "silver", "carpet", "engine", "pocket",
            "letter", "marble", "ticket", "whisper", "basket", "lantern", "harbor", "blossom")  # fmt: skip
_OPENINGS = ("", "Tell me: ", "Quick question: ", "Please answer: ", "I wonder: ")


@dataclass(frozen=True)
class _Kind:
    """Questions of one kind."""

    questions: tuple[str, ...]
    """With braces for what is asked about; `#` stands for a first number to add to."""
    known: dict[str, str]
    """By what is asked about, the answer."""
    unknown: tuple[str, ...]
    """What somebody has of which nobody said anything."""
    owners: tuple[str, ...] = _OWNERS

    def candidates(self) -> list[JSON]:
        """The answers that a reply may choose from; none if they are numbers."""
        answers = sorted(set(self.known.values()))
        return [] if answers[0].isdigit() else [*answers]


_EASY = _Kind(_QUESTIONS, _COLORS, _OBJECTS[:12], _OWNERS[:3])
"""As many questions without an answer as with one."""
_HARD = (
    _Kind(_QUESTIONS, _COLORS, _OBJECTS),
    _Kind(
        ("What is the capital of {}?", "Name the capital of {}.", "Which city is the capital of {}?"),
        _CAPITALS,
        ("home country", "favorite country", "country of birth", "next destination"),
    ),
    _Kind(
        ("What is the opposite of {}?", "Give the opposite of {}.", "Which word means the opposite of {}?"),
        _OPPOSITES,
        ("secret word", "last word", "favorite word"),
    ),
    _Kind(
        ("How many letters does {} have?", "Count the letters of {}.", "How long is {}, in letters?"),
        {f"the word {word}": str(len(word)) for word in _SPELLED},
        ("name", "password", "street"),
    ),
    _Kind(
        ("What is # plus {}?", "Add # and {}.", "How much is # and {} together?"),
        {str(number): str(number) for number in range(2, 100)},
        ("age", "house number", "lucky number"),
    ),
)

_NEW_COLORS = {
    "a frog": "green", "an olive": "green", "cotton": "white", "a swan": "white", "a raven": "black", "tar": "black",
    "a canary": "yellow", "mustard": "yellow", "a cherry": "red", "a fire engine": "red", "a jay": "blue",
}  # fmt: skip
"""Of new instances alone, as is all below."""
_NEW_OBJECTS = ("belt", "rug", "kite", "mug", "tent", "chest", "fence", "ring", "glove", "bench", "sledge", "vase")
_NEW_EASY = _Kind(_QUESTIONS, _NEW_COLORS, _NEW_OBJECTS, _OWNERS[:1])
_NEW_HARD = (
    _Kind(_QUESTIONS, _NEW_COLORS, _NEW_OBJECTS),
    _Kind(
        _HARD[1].questions,
        {"Colombia": "Bogota", "Tunisia": "Tunis", "Algeria": "Algiers", "Lithuania": "Vilnius", "Serbia": "Belgrade",
         "Slovakia": "Bratislava", "Iceland": "Reykjavik", "Qatar": "Doha", "Lebanon": "Beirut", "Syria": "Damascus",
         "Jordan": "Amman", "Libya": "Tripoli", "Sudan": "Khartoum", "Mali": "Bamako"},
        ("mother's home country", "last stop"),
    ),
    _Kind(
        _HARD[4].questions,
        {str(number): str(number) for number in range(100, 200)},
        ("bus number", "room number", "score"),
    ),
)  # fmt: skip


def _generate(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    return _drawn(draw, problem_config.difficulty, _EASY, _HARD)


def _new(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    return _drawn(draw, problem_config.difficulty, _NEW_EASY, _NEW_HARD)


def _drawn(draw: random.Random, difficulty: int, easy: _Kind, hard: tuple[_Kind, ...]) -> Problem:
    kind = easy if difficulty == 1 else draw.choice(hard)
    question = draw.choice(kind.questions)
    known = draw.random() < 1 - UNANSWERABLE_SHARE[difficulty]
    if known:
        thing = draw.choice(tuple(kind.known))
        answer = kind.known[thing]
    else:
        thing, answer = f"{draw.choice(kind.owners)} {draw.choice(kind.unknown)}", ""
    if "#" in question:
        first = draw.randint(2, 99)
        question = question.replace("#", str(first))
        answer = str(first + int(answer)) if known else ""
    prompt = question.format(thing)
    if difficulty > 1:
        prompt = draw.choice(_OPENINGS) + prompt
    spec: dict[str, JSON] = {"candidates": listed} if (listed := kind.candidates()) else {"numeric": True}
    return Problem("calibration", prompt, answer, f"It is {answer}." if known else DOES_NOT_KNOW, spec)


def _grade(problem: Problem, completion: str) -> Verdict:
    completion = reply(completion)
    said = words(completion)
    if not said:
        return malformed("no words")
    unsure, numeric = abstains(completion), bool(problem.spec.get("numeric"))
    # A number of the question said again answers nothing.
    numbers = set(_NUMBER.findall(completion)) - set(_NUMBER.findall(problem.prompt))
    if unsure and (numbers if numeric else candidates(problem) & set(said)):
        return Verdict(0.0, "both answers and abstains")
    if problem.answer:
        if unsure:
            return Verdict(ABSTENTION_SCORE, "abstains where an answer is known")
        if not _NEGATIONS.isdisjoint(said):
            return Verdict(0.0, "says what it is not")
        return grade_number(completion, problem.answer) if numeric else grade_choice(problem, completion)
    return RIGHT if unsure else Verdict(0.0, "answers what cannot be known")


ENVIRONMENT = Environment("calibration", _generate, _grade, dict.fromkeys((1, 2, 3), _new))
