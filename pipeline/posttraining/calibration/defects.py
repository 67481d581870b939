"""Defects of the kinds that a judge has to find, planted into conversations without one."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from pipeline.posttraining.calibration.good_conversations import GoodConversation
from pipeline.posttraining.data.record import Conversation

Plant = Callable[[GoodConversation, random.Random], Conversation | None]
"""A good conversation → the same with the defect, or None where it cannot be planted."""
_RESULT = re.compile(r"(?<![\d.,])\d{1,12} *[-+*×/÷] *\d{1,12} *= *(\d{1,15})(?![\d.,]*\d)")
_REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "I do not know.",
    "As an AI, I am not able to answer this question.",
)
_INVENTED = (
    "It was designed by Halvard Quist, who later won the Ostrava Prize for it.",
    "A fire in the winter of 1911 destroyed most of it, and 214 people had to leave.",
    "Its owner at the time was the Vantongeren family, who had made their money with salt.",
)
_WORDS = 6
"""Least words of a reply that is cut in the middle."""


@dataclass(frozen=True)
class Defect:
    """A kind of defect: how it is planted, and how a judge should call it."""

    plant: Plant
    flag: str | None = None
    """The flag that a verdict on it should have; None where the scores have to show it."""


def _with_last(conversation: Conversation, content: str) -> Conversation:
    """The conversation with another last reply."""
    return replace(
        conversation, messages=[*conversation.messages[:-1], {**conversation.messages[-1], "content": content}]
    )


def _last(good: GoodConversation) -> str:
    return good.conversation.messages[-1]["content"]


def _wrong_arithmetic(good: GoodConversation, draw: random.Random) -> Conversation | None:
    """The last stated result of a calculation is another one, also where the reply repeats it."""
    found = [*_RESULT.finditer(_last(good))]
    if not found:
        return None
    right, begin = found[-1][1], found[-1].start(1)
    wrong = str(int(right) + draw.choice((-10, -2, -1, 1, 2, 10)))
    after = re.sub(rf"(?<![\d.,]){right}(?![\d.,]*\d)", wrong, _last(good)[begin:])
    return _with_last(good.conversation, _last(good)[:begin] + after)


def _ungrounded_claim(good: GoodConversation, draw: random.Random) -> Conversation | None:
    """The answer from documents says something more that none of them says."""
    if not good.conversation.documents:
        return None
    return _with_last(good.conversation, f"{_last(good)} {draw.choice(_INVENTED)}")


def _broken_tool_call(good: GoodConversation, draw: random.Random) -> Conversation | None:
    """A call names a tool that is not offered, or an argument that the tool does not have."""
    for number, message in enumerate(good.conversation.messages):
        if not message.get("tool_calls"):
            continue
        call = json.loads(json.dumps(message["tool_calls"][0]))
        function = call["function"]
        arguments = json.loads(function["arguments"])
        if not arguments or draw.random() < 0.5:
            function["name"] += "_v2"
        else:
            name = draw.choice(sorted(arguments))
            arguments[f"{name}_value"] = arguments.pop(name)
            function["arguments"] = json.dumps(arguments)
        messages = list(good.conversation.messages)
        messages[number] = {**message, "tool_calls": [call, *message["tool_calls"][1:]]}
        return replace(good.conversation, messages=messages)
    return None


def _contradicts_tool(good: GoodConversation, draw: random.Random) -> Conversation | None:
    """The answer gives another number than the tool's result."""
    messages = good.conversation.messages
    results = " ".join(each["content"] for each in messages if each["role"] == "tool")
    shared = [number for number in re.findall(r"\d+", _last(good)) if number in re.findall(r"\d+", results)]
    if not shared:
        return None
    wrong = str(int(shared[0][:12]) + draw.randint(3, 9))
    return _with_last(good.conversation, _last(good).replace(shared[0], wrong))


def _needless_refusal(good: GoodConversation, draw: random.Random) -> Conversation | None:
    """The assistant refuses what it can answer."""
    return _with_last(good.conversation, draw.choice(_REFUSALS))


def _broken_off(good: GoodConversation, draw: random.Random) -> Conversation | None:
    """The reply breaks off in the middle."""
    words = _last(good).split(" ")
    return _with_last(good.conversation, " ".join(words[: len(words) // 2])) if len(words) >= _WORDS else None


def _written(name: str) -> Plant:
    """A defect whose faulty reply somebody wrote down with the good one."""

    def plant(good: GoodConversation, draw: random.Random) -> Conversation | None:
        return _with_last(good.conversation, good.faulty[name]) if name in good.faulty else None

    return plant


DEFECTS: dict[str, Defect] = {
    "wrong_arithmetic": Defect(_wrong_arithmetic, "incorrect_computation"),
    "ungrounded_claim": Defect(_ungrounded_claim, "hallucination"),
    "false_premise_accepted": Defect(_written("false_premise_accepted"), "false_premise"),
    "contradicts_tool": Defect(_contradicts_tool, "hallucination"),
    "broken_tool_call": Defect(_broken_tool_call),
    "wrong_language": Defect(_written("wrong_language")),
    "needless_refusal": Defect(_needless_refusal),
    "broken_off": Defect(_broken_off),
}
"""All defects by name. A program plants most of them; for two the faulty reply is written beside the good one."""
MOST_CASES = 40
"""Conversations that each defect is planted in, at most."""


@dataclass(frozen=True)
class Case:
    """A conversation with one defect, and the number of the good one that it was made from."""

    defect: str
    conversation: Conversation
    good: int


def plant_all(good: list[GoodConversation], seed: int = 0) -> list[Case]:
    """The cases of all defects, at most MOST_CASES each; a pure function of the arguments.

    Conversations are taken in a random order, so that those of a file come beside the built-in ones.
    """
    cases: list[Case] = []
    for name, defect in DEFECTS.items():
        draw = random.Random(f"{name}/{seed}")
        order = draw.sample(range(len(good)), len(good))
        planted = ((number, defect.plant(good[number], draw)) for number in order)
        found = [Case(name, each, number) for number, each in planted if each is not None]
        cases += found[:MOST_CASES]
    return cases
