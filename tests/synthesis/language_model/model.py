"""What the test server says: a few rules in place of a model, right or wrong by the prompt's number."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from pipeline.environments import problems
from tests.settings import EASY

SUM = "Write a function add_{0} that adds {0} to a number."
PAGES = [
    f"In {1900 + index} the town of Aberdeen built a bridge of {index + 3} arches over the river. The engineer "
    f"was Thomas Telford, who lived in the house beside it for {index + 10} years. Every spring the water rose to "
    "the third arch, and boats had to wait on the bank until it fell again. The mayor kept a book of those days."
    for index in range(8)
]
CODE = [f"def shift_{index}(x):\n    return x + {index}\n\n\nprint(shift_{index}(1))\n" * 3 for index in range(6)]
TEMPLATES: dict[str, dict[str, Any]] = {
    "rephrase": {
        "kind": "rephrase", "domain": "synthetic", "pages": "common_crawl_hq", "count": 8, "minimum_words": 10,
        "prompt": "REPHRASE\n{page}",
    },
    "question_answers": {
        "kind": "question_answers", "domain": "synthetic", "pages": "common_crawl_hq", "count": 8, "minimum_words": 10,
        "prompt": "ASK\n{page}",
    },
    "chain_of_thought": {
        "kind": "chain_of_thought", "domain": "long_cot", "environments": ["math", "temporal_reasoning"], "count": 20,
        "difficulty": 1, "prompt": "SOLVE\n{example}\n{solution}\n{problem}",
    },
    "code_with_tests": {
        "kind": "code_with_tests", "domain": "code_instructions", "pages": "code", "count": 6, "minimum_words": 5,
        "rounds": 2, "prompt": "INVENT\n{page}", "evolve_prompt": "EVOLVE\n{instruction}",
        "solve_prompt": "PROGRAM\n{instruction}",
    },
}  # fmt: skip


def write_prompts(folder: Path, names: tuple[str, ...] = tuple(TEMPLATES), **changes: Any) -> Path:
    """The prompts as files; changes go into each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"description": "test", **TEMPLATES[name], **changes}))
    return folder


def answer(prompt: str) -> str:
    """A reply: every rule is right for most prompts and wrong for some."""
    task, _, rest = prompt.partition("\n")
    match task:
        case "REPHRASE":
            return " ".join(rest.split()[::2])
        case "ASK":
            arches = re.findall(r"of (\d+) arches", rest)[0]
            wrong = {"question": "Who was the mayor?", "answer": "Anna Smith"}
            return json.dumps([{"question": "How many arches has the bridge?", "answer": f"{arches} arches"}, wrong])
        case "SOLVE":
            return _solved(rest.splitlines()[-1])
        case "INVENT":
            return SUM.format(sum(map(ord, rest)) % 50)
        case "EVOLVE":
            number = int(re.findall(r"adds (\d+)", rest)[0])
            # From even numbers comes a prompt about prompts.
            return "# Rewritten prompt #" if number % 2 == 0 else SUM.format(number + 1)
        case "PROGRAM":
            return _program(int(re.findall(r"adds (\d+)", rest)[0]))
    raise AssertionError(prompt)


@cache
def _solutions() -> dict[str, str]:
    """Solutions by prompt, of more problems than a test asks; looked up once, as replies have a time limit."""
    found: dict[str, str] = {}
    for name in TEMPLATES["chain_of_thought"]["environments"]:
        for seed in range(40):
            for problem in problems(name, 30, seed, "train", EASY):
                found.setdefault(problem.prompt, problem.solution)
    return found


def _solved(question: str) -> str:
    if question not in _solutions():
        return "I have been asked something that I cannot find anywhere in all my books."
    reasons = "Let us look at what is asked, one thing after the other, and then say it."
    return f"{reasons}\n{_solutions()[question]}" if len(question) % 3 else f"{reasons}\n999"


def _program(number: int) -> str:
    added = number if number % 5 else number + 1
    solution = f"def add_{number}(x):\n    return x + {added}\n"
    tests = "".join(f"assert add_{number}({value}) == {value + number}\n" for value in (0, 1, 5))
    return f"Here it is.\n```python\n{solution}```\nAnd the tests.\n```python\n{tests}```\n"
