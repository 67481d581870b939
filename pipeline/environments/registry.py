"""All environments by name, and the functions that other packages use: `problems`, `verify` and their parts."""

from __future__ import annotations

import hashlib
import random
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from itertools import islice
from numbers import Real
from typing import Literal, cast

from pipeline.core.config import nearest
from pipeline.core.errors import ConfigError, DataError
from pipeline.environments import (
    calibration,
    chat,
    code,
    fact_extraction,
    grounding,
    identity,
    in_context,
    instructions,
    logic,
    mathematics,
    science,
    sql,
    structured,
    summarization,
    temporal,
    tool_calling,
)
from pipeline.environments.answers import abstains
from pipeline.environments.own import is_own, load_own
from pipeline.environments.problem import (
    MAX_COMPLETION_CHARACTERS,
    Environment,
    Grade,
    Problem,
    ProblemConfig,
    Verdict,
    malformed,
)
from pipeline.environments.verifiers import VERIFIERS

Split = Literal["train", "held_out"]
Asked = Literal["train", "held_out", "instances"]
"""Problems that a model is measured on: prompts that training may have, other phrasings of such tasks, and tasks about
numbers, words or names that no training has."""

HELD_OUT_SHARE = 0.2
"""Share of all possible prompts that is kept for evaluation and that no training data may contain."""
REPEATS_BEFORE_NEW_ROUND = 50
"""Prompts drawn in a row that were all drawn before: an environment with so few left begins again."""
REPEATS_BEFORE_ALL = 1_000
"""Prompts drawn in a row that were all drawn before: all there are. Of 200 equally likely ones, the last is missed in
one of 150 times."""
DRAWS_WITHOUT_SPLIT = 10_000
"""Prompts drawn in a row of which none is of the split asked for: the environment has none."""

ENVIRONMENTS: dict[str, Environment] = {
    environment.name: environment
    for environment in (
        mathematics.ENVIRONMENT,
        science.ENVIRONMENT,
        logic.ENVIRONMENT,
        instructions.ENVIRONMENT,
        structured.ENVIRONMENT,
        sql.ENVIRONMENT,
        temporal.ENVIRONMENT,
        chat.ENVIRONMENT,
        in_context.ENVIRONMENT,
        identity.ENVIRONMENT,
        calibration.ENVIRONMENT,
        tool_calling.ENVIRONMENT,
        grounding.ENVIRONMENT,
        fact_extraction.ENVIRONMENT,
        summarization.ENVIRONMENT,
        code.ENVIRONMENT,
    )
}
FURTHER_NAMES = ("tool_calling", "grounding", "extraction", "summarization", "code")
"""Environments that are used where a setting names them. Their prompts are longer than the others'."""
ENVIRONMENT_NAMES = tuple(name for name in ENVIRONMENTS if name not in FURTHER_NAMES)
"""Those of the published recipe, with identity and calibration: the ones that are used where no setting names any."""


ANSWER_IS_A_REPLY = frozenset(
    module.ENVIRONMENT.name for module in (mathematics, science, logic, instructions, temporal, in_context)
)
"""Environments whose answers are replies that score 1.0, so that a record with another answer or spec is none."""


def split_of(prompt: str) -> Split:
    """The split that a prompt belongs to, a function of the hash of its words.

    Because nothing else decides, no prompt is ever in both splits, whatever the seed, the difficulty or the stage.
    """
    # Case and spacing are left out, so that normalized text falls into the same split.
    canonical = " ".join(prompt.casefold().split())
    share = int.from_bytes(hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).digest()[:8]) / 2**64
    return "held_out" if share < HELD_OUT_SHARE else "train"


def check_names(names: Iterable[str], more: Iterable[str] = ()) -> None:
    """Makes sure that names are those of environments, built in or `module:NAME`.

    Args:
        names: as a configuration gives them.
        more: further names that may stand there.

    Raises:
        ValueError: for one that is not, with the nearest that is, or why it cannot be loaded.
    """
    known = (*ENVIRONMENTS, *more)
    for name in names:
        if is_own(name):
            try:
                _environment(name)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        elif name not in known:
            raise ValueError(
                f"no environment {name!r}, {nearest(name, known)}; or one of your own as module:ENVIRONMENT"
            )


@cache
def _environment(name: str) -> Environment:
    if is_own(name):
        environment = load_own(name)
        if not isinstance(environment, Environment):
            raise ConfigError(
                f"{name}: a {type(environment).__name__}, set it to a pipeline.environments.problem.Environment"
            )
        # Problems carry the reference, by which any process finds the verifier.
        return replace(environment, name=name)
    if name not in ENVIRONMENTS:
        raise ConfigError(f"no environment {name!r}, the environments are {', '.join(ENVIRONMENTS)}")
    return ENVIRONMENTS[name]


@cache
def _grader(name: str) -> Grade:
    """The verifier of a name: an environment's, one for prompts of one's own, or `module:NAME`, which may be either."""
    if name in VERIFIERS:
        return VERIFIERS[name].grade
    if is_own(name) and not isinstance(verifier := load_own(name), Environment):
        if not callable(verifier):
            raise ConfigError(
                f"{name}: a {type(verifier).__name__}, set it to an Environment or a function that grades"
            )
        return cast(Grade, verifier)
    return _environment(name).grade


def prepare(name: str) -> None:
    """Loads the verifier of a name, which may take longer than a verdict.

    Raises:
        ConfigError: for a name that has none.
    """
    _grader(name)


def check_problem(problem: Problem) -> str | None:
    """What keeps a problem of one's own from being verified, with the remedy; None if nothing does."""
    name = problem.environment
    try:
        grade = _grader(name)
    except ConfigError as error:
        if is_own(name):
            return f"verifier {error}"
        return f"verifier {name!r} is none, {nearest(name, (*VERIFIERS, *ENVIRONMENTS))}; or your own as module:NAME"
    if name in VERIFIERS:
        return VERIFIERS[name].check(problem)
    try:
        verdict = judge(grade, problem, problem.answer)
        if fault := not_a_reward(verdict):
            return f"verifier {name} {fault}, correct it"
    except Exception as error:
        message = " ".join(str(error).split())
        return f"verifier {name} cannot use its answer and spec ({type(error).__name__}: {message:.100}), correct them"
    if name in ANSWER_IS_A_REPLY and verdict.score < 1.0:
        return f"verifier {name} says of its own answer: {verdict.reason}; correct answer or spec"
    return None


def _drawn(environment: Environment, seed: int, asked: Asked, problem_config: ProblemConfig) -> Iterator[Problem]:
    """Endless problems of one split, drawn and thrown away where they are of the other; they repeat."""
    draw = random.Random(f"{environment.name}/{seed}/{asked}")
    if asked == "instances":
        generate = environment.new_instances.get(problem_config.difficulty)
        if generate is None:
            raise DataError(
                f"{environment.name}: no new instances at difficulty {problem_config.difficulty}, leave the split out"
            )
        while True:
            yield replace(generate(draw, problem_config), environment=environment.name)
    others = 0
    while True:
        problem = replace(environment.generate(draw, problem_config), environment=environment.name)
        if split_of(problem.prompt) == asked:
            others = 0
            yield problem
        elif (others := others + 1) == DRAWS_WITHOUT_SPLIT:
            raise DataError(
                f"{environment.name}: {others:,} prompts drawn and none of the split {asked}; let it pose more "
                f"different prompts, a fifth of which is held out by a hash of the words"
            )


def _stream(environment: Environment, seed: int, split: Split, problem_config: ProblemConfig) -> Iterator[Problem]:
    """Endless problems of one split, thrown away where they came in this round."""
    seen: set[str] = set()
    repeats = 0
    for problem in _drawn(environment, seed, split, problem_config):
        if problem.prompt not in seen:
            repeats = 0
            seen.add(problem.prompt)
            yield problem
        elif (repeats := repeats + 1) > REPEATS_BEFORE_NEW_ROUND:
            seen.clear()


def has_instances(environment: str, problem_config: ProblemConfig) -> bool:
    """Whether an environment poses problems of the split `instances` at a difficulty.

    Raises:
        ConfigError: for an environment that does not exist.
    """
    return problem_config.difficulty in _environment(environment).new_instances


def distinct_problems(
    environment: str, at_most: int, seed: int, asked: Asked, problem_config: ProblemConfig
) -> list[Problem]:
    """Problems of one environment and one split with different prompts: fewer than `at_most` where that is all.

    All there are is said of an environment that drew REPEATS_BEFORE_ALL prompts in a row which came before. Otherwise
    these are the problems that `problems` gives, until the first prompt that comes back there.

    Raises:
        ConfigError: for an environment that does not exist.
        DataError: for an environment without prompts of the split.
    """
    return list(_distinct(environment, at_most, seed, asked, problem_config))


@lru_cache(maxsize=256)
def _distinct(
    environment: str, at_most: int, seed: int, asked: Asked, problem_config: ProblemConfig
) -> tuple[Problem, ...]:
    """Kept: a small space takes seconds to be drawn until nothing is new."""
    found: dict[str, Problem] = {}
    repeats = 0
    for problem in _drawn(_environment(environment), seed, asked, problem_config):
        if problem.prompt not in found:
            repeats = 0
            found[problem.prompt] = problem
        elif (repeats := repeats + 1) > REPEATS_BEFORE_ALL:
            break
        if len(found) == at_most:
            break
    return tuple(found.values())


def problem_stream(environment: str, seed: int, split: Split, problem_config: ProblemConfig) -> Iterator[Problem]:
    """Endless problems of one environment and one split, of which `problems` is the beginning.

    Raises:
        ConfigError: for an environment that does not exist.
        DataError: while drawing, for an environment without prompts of the split.
    """
    return _stream(_environment(environment), seed, split, problem_config)


def problems(environment: str, count: int, seed: int, split: Split, problem_config: ProblemConfig) -> list[Problem]:
    """`count` problems of one environment and one split: a pure function of the arguments.

    A prompt comes back only after nearly all others of the environment were drawn, and a shorter list is always the
    beginning of a longer one.

    Raises:
        ConfigError: for an environment that does not exist.
        DataError: for an environment without prompts of the split.
    """
    return draw_problems(_environment(environment), count, seed, split, problem_config)


@cache
def distinct_prompts(environment: str, at_most: int, problem_config: ProblemConfig, split: Split = "train") -> int:
    """How many different prompts an environment poses before it begins again, counted by drawing them.

    It begins again where REPEATS_BEFORE_NEW_ROUND prompts in a row came before, so a few rare ones may be left out.

    Args:
        environment: its name.
        at_most: where counting ends; that many may be drawn without one that came before.
        problem_config: difficulty, and the assistant's name.
        split: whose prompts are counted.

    Raises:
        ConfigError: for an environment that does not exist.
        DataError: for an environment without prompts of the split.
    """
    seen: set[str] = set()
    for problem in islice(_stream(_environment(environment), 0, split, problem_config), at_most):
        if problem.prompt in seen:
            break
        seen.add(problem.prompt)
    return len(seen)


def draw_problems(
    environment: Environment, count: int, seed: int, split: Split, problem_config: ProblemConfig
) -> list[Problem]:
    """What `problems` gives, of an environment that need not have a name that is known.

    Raises:
        DataError: for an environment without prompts of the split.
    """
    return list(islice(_stream(environment, seed, split, problem_config), count))


def verify(problem: Problem | Mapping[str, object], completion: str) -> Verdict:
    """Scores a completion by the rules of the problem's environment: a pure function, bounded in time and memory.

    Any text gets a verdict; none raises. A completion longer than MAX_COMPLETION_CHARACTERS scores 0 unread.

    Args:
        problem: the problem, or its record as `Problem.to_record` gives it.
        completion: what the model wrote after the prompt.

    Raises:
        DataError: for a record that is not one of a problem.
    """
    if not isinstance(problem, Problem):
        problem = Problem.from_record(problem)
    grade = _grader(problem.environment)
    if not is_own(problem.environment):
        return judge(grade, problem, completion)
    # A run of days does not end for one completion that a verifier of one's own was not prepared for.
    try:
        verdict = judge(grade, problem, completion)
        if (fault := not_a_reward(verdict)) is None:
            return verdict
    except Exception as error:
        fault = f"raised {type(error).__name__}: {' '.join(str(error).split()):.100}"
    print(f"{problem.environment}: its verifier {fault}; check_environment finds such text", file=sys.stderr)
    return malformed(f"the verifier {fault}")


def not_a_reward(verdict: object) -> str | None:
    """What is wrong with what a verifier gave, if it is no verdict with a number from 0 to 1; None if it is one."""
    score = verdict.score if isinstance(verdict, Verdict) else None
    if isinstance(score, Real) and 0.0 <= float(score) <= 1.0:
        return None
    return f"gave {verdict!r:.100} and no Verdict with a score from 0 to 1"


def judge(grade: Grade, problem: Problem, completion: str) -> Verdict:
    """What a verifier says of a completion, unless it is too long to be read, or says that it does not know."""
    if len(completion) > MAX_COMPLETION_CHARACTERS:
        return malformed("too long")
    verdict = grade(problem, completion)
    # One of one's own may give anything.
    if isinstance(verdict, Verdict) and not verdict.in_format and abstains(completion):
        return Verdict(0.0, "abstains")
    return verdict
