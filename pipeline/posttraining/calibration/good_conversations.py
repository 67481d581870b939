"""Conversations without a fault, of every type, that defects are planted in; some come with a faulty version."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

from pipeline.inference.conversation_ids import Message, to_messages
from pipeline.posttraining.data.record import Conversation

BUILT_IN = "calibration"
"""Source of these conversations."""
OF_EACH_KIND = 20
"""Conversations of each kind that is made by a program."""


@dataclass(frozen=True)
class GoodConversation:
    """A conversation without a fault."""

    conversation: Conversation
    faulty: dict[str, str] = field(default_factory=dict)
    """Last replies that have a defect which no program can plant, by the defect's name."""


_THINGS = (
    ("box", "boxes", "pens"),
    ("shelf", "shelves", "books"),
    ("tray", "trays", "eggs"),
    ("bus", "buses", "seats"),
)
_TOWNS = ("Arlen", "Bexford", "Calder", "Dunmore", "Eastwick", "Farrow", "Glenside", "Hartley", "Inverholt", "Kelby")
_BUILDINGS = ("bridge", "library", "market hall", "lighthouse", "station")
_WEATHER = ("sunny", "cloudy", "rainy", "windy")
_TOOLS = (
    {"type": "function", "function": {
        "name": "get_weather", "description": "The weather of a city on a day.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "day": {"type": "string", "enum": ["today", "tomorrow"]}},
            "required": ["city", "day"], "additionalProperties": False,
        },
    }},
    {"type": "function", "function": {
        "name": "convert_currency", "description": "An amount of money in another currency.",
        "parameters": {
            "type": "object",
            "properties": {"amount": {"type": "number"}, "from": {"type": "string"}, "to": {"type": "string"}},
            "required": ["amount", "from", "to"], "additionalProperties": False,
        },
    }},
)  # fmt: skip
_FALSE_PREMISES = (
    ("How long does the sun take to go around the earth?",
     "It is the other way round: the earth goes around the sun, once in about 365 days.",
     "The sun goes around the earth once every 24 hours."),
    ("Why do fish breathe with lungs under water?",
     "Most fish have no lungs under water; they take oxygen from the water with gills.",
     "Their lungs are adapted to take oxygen out of the water with every breath."),
    ("In which year did Napoleon become president of the United States?",
     "He never did. Napoleon Bonaparte was emperor of the French.",
     "Napoleon became president of the United States in 1805."),
    ("Why does ice sink in water?",
     "Ice does not sink: it floats, because it is less dense than liquid water.",
     "Ice sinks because frozen water is denser than liquid water."),
    ("Which ocean lies between Germany and France?",
     "None does. Germany and France share a border on land.",
     "The Baltic Ocean lies between Germany and France."),
    ("Since spiders are insects, how many legs do all insects have?",
     "Spiders are arachnids with eight legs, not insects. Insects have six.",
     "As spiders show, all insects have eight legs."),
    ("When did Shakespeare write War and Peace?",
     "He did not: War and Peace is by Leo Tolstoy, from the 1860s.",
     "Shakespeare wrote War and Peace around 1601."),
    ("Why is the moon larger than the earth?",
     "It is smaller: the moon's diameter is about a quarter of the earth's.",
     "The moon is larger because it formed from more material than the earth did."),
    ("How do penguins survive the winters of the North Pole?",
     "Penguins do not live at the North Pole; nearly all live in the southern hemisphere.",
     "At the North Pole penguins huddle together on the ice to keep warm."),
    ("What is the largest even prime number?",
     "There is only one even prime number, which is 2, so no larger one exists.",
     "The largest even prime number that is known is 1,046."),
    ("Why did Beethoven write his operas in Japanese?",
     "He did not. His only opera, Fidelio, is in German.",
     "Beethoven chose Japanese for his operas because of its clear vowels."),
    ("How many sides does a round triangle have?",
     "A triangle has three straight sides, so no triangle is round.",
     "A round triangle has one continuous side."),
    ("Which city is the capital of the continent of Africa?",
     "A continent has no capital. Africa has more than fifty countries, each with its own.",
     "Nairobi is the capital of the continent of Africa."),
    ("Why do plants breathe in only oxygen to make sugar?",
     "For making sugar plants take in carbon dioxide, and give off oxygen.",
     "Plants need the oxygen they breathe in because sugar is built from it."),
    ("When did people first walk on the sun?",
     "Nobody ever has; its surface has about 5,500 degrees Celsius. People walked on the moon in 1969.",
     "People first walked on the sun in 1972, on its cooler night side."),
    ("Why is gold lighter than aluminium?",
     "It is much heavier: gold has about seven times the density of aluminium.",
     "Gold is lighter because its atoms are packed less tightly."),
    ("How do bats see with their ears closed at the back of their wings?",
     "A bat's ears are on its head, and it finds its way by the echoes of its calls.",
     "The ears on their wings close like lids, and bats then see by touch."),
    ("What did Columbus call the telephone that he invented?",
     "Columbus invented no telephone; it came in the 1870s, almost four centuries after him.",
     "Columbus called his telephone the speaking shell."),
)  # fmt: skip
_LANGUAGES = (
    ("fr", "Combien de jours y a-t-il dans une semaine ?", "Une semaine compte sept jours.", "A week has seven days."),
    ("fr", "Quelle est la couleur du lait ?", "Le lait est de couleur blanche.", "Milk is white."),
    ("de", "Wie viele Beine hat eine Katze?", "Eine Katze hat vier Beine.", "A cat has four legs."),
    ("de", "Welche Farbe hat frisches Gras?", "Frisches Gras ist grün.", "Fresh grass is green."),
    ("es", "¿De qué color es la nieve?", "La nieve es de color blanco.", "Snow is white."),
    ("es", "¿Cuántos meses tiene un año?", "Un año tiene doce meses.", "A year has twelve months."),
    ("it", "Di che colore è la neve?", "La neve è bianca.", "Snow is white."),
    ("it", "Quante ore ha un giorno?", "Un giorno ha ventiquattro ore.", "A day has twenty-four hours."),
    ("pt", "Qual é a capital de Portugal?", "A capital de Portugal é Lisboa.", "The capital of Portugal is Lisbon."),
    ("pt", "De que cor é o carvão?", "O carvão é preto.", "Coal is black."),
    ("nl", "Hoeveel minuten heeft een uur?", "Een uur heeft zestig minuten.", "An hour has sixty minutes."),
    ("nl", "Welke kleur heeft een citroen?", "Een citroen is geel.", "A lemon is yellow."),
    ("cs", "Kolik dní má týden?", "Týden má sedm dní.", "A week has seven days."),
    ("cs", "Jaké je hlavní město Německa?", "Hlavní město Německa je Berlín.", "The capital of Germany is Berlin."),
    ("ja", "一年は何か月ですか。", "一年は十二か月です。", "A year has twelve months."),
    ("ko", "하루는 몇 시간입니까?", "하루는 스물네 시간입니다.", "A day has twenty-four hours."),
    ("zh", "中国的首都是哪里?", "中国的首都是北京。", "The capital of China is Beijing."),
    ("ar", "كم عدد أيام الأسبوع؟", "الأسبوع سبعة أيام.", "A week has seven days."),
)  # fmt: skip


def good_conversations(seed: int = 0) -> list[GoodConversation]:
    """All of them: calculations, documents, tools, false premises, languages; a pure function of the seed."""
    draw = random.Random(f"calibration/{seed}")
    found = [_calculation(draw, turns=1 + number % 2) for number in range(OF_EACH_KIND)]
    found += [_grounded(draw) for _ in range(OF_EACH_KIND)]
    found += [_weather(draw) for _ in range(OF_EACH_KIND)]
    for question, reply, accepts in _FALSE_PREMISES:
        found.append(_good(to_messages(question, reply), {"false_premise_accepted": accepts}))
    for language, question, reply, in_english in _LANGUAGES:
        found.append(_good(to_messages(question, reply), {"wrong_language": in_english}, language=language))
    return found


def _good(
    messages: list[Message],
    faulty: dict[str, str] | None = None,
    tools: str = "",
    documents: str = "",
    language: str = "",
) -> GoodConversation:
    found = Conversation(messages, BUILT_IN, own=True, tools=tools, documents=documents, language=language)
    return GoodConversation(found, faulty or {})


def _calculation(draw: random.Random, turns: int) -> GoodConversation:
    messages: list[Message] = []
    for _ in range(turns):
        one, several, content = draw.choice(_THINGS)
        each, count = draw.randint(6, 48), draw.randint(3, 12)
        question = f"A {one} has {each} {content}. How many {content} have {count} {several}?"
        total = each * count
        messages += to_messages(question, f"{each} * {count} = {total}, so {count} {several} have {total} {content}.")
    return _good(messages)


def _grounded(draw: random.Random) -> GoodConversation:
    town, other = draw.sample(_TOWNS, 2)
    building, year, arches = draw.choice(_BUILDINGS), draw.randint(1820, 1960), draw.randint(3, 12)
    texts = [
        f"The {building} of {town} was opened in {year}. It has {arches} windows on its south side.",
        f"{other} lies on the river Tarn and has a market every Thursday.",
    ]
    documents = json.dumps([{"doc_id": number, "text": text} for number, text in enumerate(texts, start=1)])
    question = f"When was the {building} of {town} opened, and how many windows has its south side?"
    reply = f"The {building} of {town} was opened in {year}, and its south side has {arches} windows."
    return _good(to_messages(question, reply), documents=documents)


def _weather(draw: random.Random) -> GoodConversation:
    town, day, sky, degrees = draw.choice(_TOWNS), "tomorrow", draw.choice(_WEATHER), draw.randint(2, 33)
    arguments = json.dumps({"city": town, "day": day})
    call: dict[str, Any] = {"type": "function", "function": {"name": "get_weather", "arguments": arguments}}
    messages: list[Message] = [
        {"role": "user", "content": f"What will the weather be in {town} tomorrow?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": json.dumps({"sky": sky, "degrees": degrees})},
        {"role": "assistant", "content": f"Tomorrow it will be {sky} in {town}, with {degrees} degrees."},
    ]
    return _good(messages, tools=json.dumps(_TOOLS))
