"""All samples that programs write: questions and code whose answers are computed, verified or executed."""

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.core.context import StageContext
from pipeline.core.errors import Requeue
from pipeline.core.files import read_json, write_json
from pipeline.synthesis import doctests, environment_text, programs, reasoning
from pipeline.synthesis.config import SynthesizeConfig
from pipeline.synthesis.sample import Sample

WORD_PROBLEMS = ("money", "calendar", "ranking")
CHAINS = ("addition", "product", "insertion", "calendar", "ranking", "divisors", "money")


def samples(context: StageContext[SynthesizeConfig]) -> Iterator[Sample]:
    """The samples of all domains that need no language model, always in the same order.

    Sandboxed processes run side by side; what they give is taken in the order in which they were submitted.

    Raises:
        Requeue: after a stop signal; what doctests printed is kept in the stage's state and not executed again.
    """
    config = context.config
    workers = config.workers or len(os.sched_getaffinity(0))
    limits = {"cpu_seconds": config.cpu_seconds, "memory_bytes": config.memory_bytes}
    seed = context.derive_seed("environments")
    yield from environment_text.samples(config.environment_problems, config.difficulty, seed, "language_instructions")
    yield from environment_text.samples(
        config.environment_chains, min(config.difficulty + 1, 3), seed, "long_cot", environment_text.REASONED
    )
    yield from reasoning.samples(config.chains, context.random("chains"), "long_cot", CHAINS)
    yield from reasoning.samples(config.word_problems, context.random("word problems"), "synthetic", WORD_PROBLEMS)

    generated = programs.generate(config.calls, context.random("programs"))
    batches = [
        generated[start : start + programs.PROGRAMS_PER_PROCESS]
        for start in range(0, len(generated), programs.PROGRAMS_PER_PROCESS)
    ]
    names = doctests.modules(config.packages, config.doctest_files)
    context.progress.start(len(names) + len(batches), "processes", "sandbox")
    with ThreadPoolExecutor(workers) as pool:
        jobs: list[Callable[[], list[Sample]]] = [partial(_program_samples, batch, limits) for batch in batches]
        jobs += [partial(_module_samples, name, limits, context.state) for name in names]
        for found in pool.map(lambda job: job() if not context.stop_requested() else None, jobs):
            if found is None:
                raise Requeue("stopped between two sandboxed processes")
            context.progress.advance()
            yield from found


def _program_samples(batch: list[programs.Program], limits: dict[str, int]) -> list[Sample]:
    return list(programs.samples(batch, **limits))


def _module_samples(name: str, limits: dict[str, int], state: Path) -> list[Sample]:
    """The samples of a module's doctests; what an earlier attempt executed is read from the stage's state."""
    path = state / "doctests" / f"{hashlib.sha256(name.encode()).hexdigest()}.json"
    if path.exists():
        executed: dict[str, Any] = read_json(path)
    else:
        executed = doctests.execute(name, **limits)
        write_json(path, executed)
    return list(doctests.samples(executed))
