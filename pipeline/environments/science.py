"""`science`: classes of animals, then chemical symbols, then quantities to compute, by difficulty."""

from __future__ import annotations

import random
import re

from pipeline.environments.answers import grade_choice, grade_number
from pipeline.environments.choices import chosen
from pipeline.environments.extraction import reply
from pipeline.environments.problem import RIGHT, WRONG, Environment, Problem, ProblemConfig, Verdict, malformed

_ANIMALS = {
    "mammal": ("dog", "cat", "horse", "cow", "whale", "bat", "lion", "mouse", "pig", "wolf", "fox", "donkey"),
    "bird": ("duck", "hen", "owl", "eagle", "robin", "swan", "crow", "goose", "finch", "raven", "turkey", "heron"),
    "fish": ("cod", "shark", "salmon", "trout", "tuna", "carp", "eel", "pike", "sole", "bass", "catfish", "piranha"),
    "insect": ("bee", "ant", "fly", "wasp", "moth", "beetle", "cricket", "flea", "louse", "gnat", "aphid", "ladybird"),
}
_NEW_ANIMALS = {
    "mammal": ("goat", "sheep", "rabbit", "bear", "tiger", "seal", "deer", "camel"),
    "bird": ("dove", "hawk", "parrot", "penguin", "sparrow", "stork", "gull", "ostrich"),
    "fish": ("herring", "sardine", "haddock", "perch", "plaice", "sturgeon", "mackerel", "anchovy"),
    "insect": ("mosquito", "butterfly", "grasshopper", "dragonfly", "termite", "hornet", "earwig", "cicada"),
}
"""Of new instances alone, as are the symbols below."""
_FEATURES = {
    "mammal": ("has fur", "has hair", "gives milk", "feeds its young with milk", "has fur and four legs"),
    "bird": ("has feathers", "has a beak", "has feathers and a beak", "has a beak and two legs", "sings"),
    "fish": ("has fins", "has scales", "has fins and scales", "breathes with gills", "has gills and fins"),
    "insect": ("has six legs", "has feelers", "has six legs and feelers", "has feelers and wings", "has six thin legs"),
}
"""By which an animal is known that nobody told of."""
_ANIMAL_QUESTIONS = (
    "What kind of animal is a {}?",
    "What is a {}?",
    "A {} is what kind of animal?",
    "Which group has the {}?",
    "Is a {} a mammal, a bird, a fish or an insect?",
    "Name the group of the {}.",
)
_TOLD_QUESTIONS = (
    "A {} {}. What is it?",
    "A {} {}. What kind of animal is it?",
    "What is a {}? It {}.",
    "If a {} {}, what is it?",
)
"""With braces for an animal and for what it has."""
TOLD_SHARE = 0.5
"""Share of the animals of which the prompt says something that decides: so that one never heard of can be known too."""
_SYMBOLS = {
    "hydrogen": "H", "helium": "He", "carbon": "C", "nitrogen": "N", "oxygen": "O", "sodium": "Na",
    "magnesium": "Mg", "aluminium": "Al", "silicon": "Si", "sulfur": "S", "chlorine": "Cl", "potassium": "K",
    "calcium": "Ca", "iron": "Fe", "copper": "Cu", "zinc": "Zn", "silver": "Ag", "tin": "Sn", "gold": "Au",
    "mercury": "Hg", "lead": "Pb",
}  # fmt: skip
_NEW_SYMBOLS = {
    "lithium": "Li", "boron": "B", "fluorine": "F", "neon": "Ne", "phosphorus": "P", "argon": "Ar", "titanium": "Ti",
    "chromium": "Cr", "manganese": "Mn", "cobalt": "Co", "nickel": "Ni", "bromine": "Br", "iodine": "I",
    "barium": "Ba", "tungsten": "W", "platinum": "Pt", "uranium": "U", "radium": "Ra",
}  # fmt: skip
_SYMBOL_QUESTIONS = (
    "What is the chemical symbol of {}?",
    "Which symbol does the element {} have?",
    "Give the symbol of {}.",
    "How is {} written in the periodic table?",
)


def _animal(draw: random.Random, new: bool = False) -> Problem:
    kind = draw.choice(tuple(_ANIMALS))
    if new or draw.random() < TOLD_SHARE:
        animal = draw.choice((_NEW_ANIMALS if new else _ANIMALS)[kind])
        asked = draw.choice(_TOLD_QUESTIONS).format(animal, draw.choice(_FEATURES[kind]))
    else:
        asked = draw.choice(_ANIMAL_QUESTIONS).format(draw.choice(_ANIMALS[kind]))
    article = "an" if kind == "insect" else "a"
    prompt = re.sub(r"\b([aA]) (?=[aeiou])", r"\1n ", asked)
    return Problem("science", prompt, kind, f"It is {article} {kind}.", {"candidates": list(_ANIMALS)})


def _symbol(draw: random.Random, new: bool = False) -> Problem:
    symbols = _NEW_SYMBOLS if new else _SYMBOLS
    element = draw.choice(tuple(symbols))
    symbol = symbols[element]
    prompt = draw.choice(_SYMBOL_QUESTIONS).format(element)
    return Problem("science", prompt, symbol, f"The symbol of {element} is {symbol}.", {"exact": True})


def _motion(draw: random.Random, new: bool = False) -> Problem:
    low, high = (31, 60) if new else (2, 30)
    speed, hours = draw.randint(low, high) * 5, draw.randint(2, 9)
    prompt = f"A train covers {speed * hours} km in {hours} hours at a steady speed. How fast is it, in km/h?"
    solution = f"Its speed is {speed * hours} / {hours} = {speed}"
    return Problem("science", prompt, str(speed), solution, {"numeric": True})


def _force(draw: random.Random, new: bool = False) -> Problem:
    low, high = (201, 400) if new else (2, 200)
    mass, acceleration = draw.randint(low, high), draw.randint(2, 30)
    prompt = f"Which force in newtons accelerates {mass} kg by {acceleration} metres per second squared?"
    solution = f"F = m * a = {mass} * {acceleration} = {mass * acceleration}"
    return Problem("science", prompt, str(mass * acceleration), solution, {"numeric": True})


def _voltage(draw: random.Random, new: bool = False) -> Problem:
    low, high = (41, 80) if new else (2, 40)
    current, resistance = draw.randint(low, high), draw.randint(2, 120)
    prompt = f"A current of {current} amperes flows through {resistance} ohms. What is the voltage, in volts?"
    solution = f"U = R * I = {resistance} * {current} = {resistance * current}"
    return Problem("science", prompt, str(resistance * current), solution, {"numeric": True})


def _density(draw: random.Random, new: bool = False) -> Problem:
    low, high = (91, 180) if new else (2, 90)
    density, volume = draw.randint(2, 22), draw.randint(low, high)
    prompt = f"A body of {volume} cubic centimetres has a mass of {density * volume} g. What is its density, in g/cm^3?"
    solution = f"Its density is {density * volume} / {volume} = {density}"
    return Problem("science", prompt, str(density), solution, {"numeric": True})


def _energy(draw: random.Random, new: bool = False) -> Problem:
    low, high = (61, 120) if new else (1, 60)
    mass, speed = 2 * draw.randint(low, high), draw.randint(2, 40)
    prompt = f"Which kinetic energy in joules has a body of {mass} kg at {speed} metres per second?"
    solution = f"E = m * v^2 / 2 = {mass} * {speed * speed} / 2 = {mass * speed * speed // 2}"
    return Problem("science", prompt, str(mass * speed * speed // 2), solution, {"numeric": True})


def _generate(draw: random.Random, problem_config: ProblemConfig, new: bool = False) -> Problem:
    computed = (_motion, _force, _voltage, _density, _energy)
    kinds = {1: (_animal,), 2: (_animal, _symbol), 3: (_symbol, *computed)}[problem_config.difficulty]
    return draw.choice(kinds)(draw, new)


def _new(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    return _generate(draw, problem_config, new=True)


def _grade(problem: Problem, completion: str) -> Verdict:
    if problem.spec.get("numeric"):
        return grade_number(completion, problem.answer, problem.prompt)
    if problem.spec.get("exact"):
        # Symbols differ by case: Co is not CO.
        text = reply(completion, problem.prompt)
        named = chosen(text, {*_SYMBOLS.values(), problem.answer}, exact=True)
        if len(named) != 1:
            like_one = re.search(r"\b[A-Z][a-z]?\W*$", text)
            return WRONG if like_one and not named else malformed("several symbols" if named else "no symbol")
        return RIGHT if named == {problem.answer} else WRONG
    return grade_choice(problem, completion)


ENVIRONMENT = Environment("science", _generate, _grade, dict.fromkeys((1, 2, 3), _new))
