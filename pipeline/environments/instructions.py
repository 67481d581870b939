"""`instruction_following`: a reply with a given form; the score is the share of the constraints that it meets."""

from __future__ import annotations

import random

from pipeline.environments.easy_words import NEW_NOUNS, NOUNS, known_or_invented
from pipeline.environments.extraction import reply, words
from pipeline.environments.problem import JSON, Environment, Problem, ProblemConfig, Verdict, malformed

_WORDS = ("sun", "moon", "tree", "fish", "book", "rain", "star", "road", "milk", "bird", "wind", "snow")
_NEW_WORDS = ("lamp", "stone", "door", "hand", "leaf", "ship", "bell", "salt", "fire", "king", "sand", "wolf")
"""Of new instances alone."""
_REPEAT = ("Say {} {} times.", "Write {} {} times.", "Repeat {} {} times.", "Give {} {} times.")
_ENDINGS = ("!", "?")
_MARK_NAMES = {"!": "an exclamation mark", "?": "a question mark"}


def _generate(draw: random.Random, problem_config: ProblemConfig, new: bool = False) -> Problem:
    if problem_config.difficulty == 1:
        word = known_or_invented(draw, NEW_NOUNS if new else NOUNS, new)
    else:
        word = draw.choice(_NEW_WORDS if new else _WORDS)
    count = draw.randint(2, {1: 4, 2: 7, 3: 20}[problem_config.difficulty])
    prompt = draw.choice(_REPEAT).format(word, count)
    spec: dict[str, JSON] = {"word": word, "count": count}
    solution = " ".join([word] * count)
    if draw.random() < 0.5:
        spec["ending"] = ending = draw.choice(_ENDINGS)
        prompt += f" End with {_MARK_NAMES[ending]}."
        solution += ending
    if problem_config.difficulty > 1 and draw.random() < 0.5:
        spec["capitals"] = True
        prompt += " Use capital letters only."
        solution = solution.upper()
    if problem_config.difficulty > 2:
        spec["line_each"] = True
        prompt += " Put every word on a line of its own."
        solution = solution.replace(" ", "\n")
    return Problem("instruction_following", prompt, solution, solution, spec)


def _new(draw: random.Random, problem_config: ProblemConfig) -> Problem:
    return _generate(draw, problem_config, new=True)


def _grade(problem: Problem, completion: str) -> Verdict:
    # Signs that a chat model puts around a whole reply are none of the reply's.
    completion = reply(completion).strip().strip("*_`\"'“”").strip()
    said, spec = words(completion), problem.spec
    if not said:
        return malformed("no words")
    checks = {
        "only the word asked for": set(said) == {str(spec["word"])},
        "as often as asked": len(said) == spec["count"],
    }
    if "ending" in spec:
        checks["ending as asked"] = completion.endswith(str(spec["ending"]))
    if "capitals" in spec:
        checks["in capital letters"] = completion == completion.upper()
    if "line_each" in spec:
        checks["one word a line"] = all(len(words(line)) == 1 for line in completion.splitlines() if line.strip())
    failed = [name for name, met in checks.items() if not met]
    return Verdict(1 - len(failed) / len(checks), f"not {failed[0]}" if failed else "right")


ENVIRONMENT = Environment("instruction_following", _generate, _grade, dict.fromkeys((1, 2, 3), _new))
