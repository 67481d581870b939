"""The verdict: what the model can and cannot do, in five lines, by the numbers alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from pipeline.reporting.blocks import duration, number, percent
from pipeline.reporting.run_data import RunData, StageData
from pipeline.reporting.sections.cost import JOULES_PER_KWH, hardware, total_joules
from pipeline.reporting.sections.evaluation import ACCURACY, above_floor, accuracies, measured_stage

NAMES_SHOWN = 4


def verdict(run: RunData) -> list[str]:
    """Text, long context, answers, reinforcement learning, and state with cost: one line each."""
    return [_text(run), _long_context(run), _answers(run), _learned(run), _state(run)]


def _text(run: RunData) -> str:
    uniform = _uniform_guess(run)
    phases = [phase for phase in run.done_of("pretrain") if "loss/end/mean" in phase.metrics]
    if not phases:
        return "Text: not known, no phase of pretraining is finished."
    last = phases[-1]
    loss = last.metrics["loss/end/mean"]
    against = f", where a uniform guess has {uniform:.2f}" if uniform else ""
    start = phases[0].metrics.get("loss/start/mean")
    line = f"Text: after {last.name} its held-out loss is {loss:.2f} nats per token{against}"
    line += f" and the first phase began at {start:.2f}." if start else "."
    chats = [stage for stage in run.done_of("evaluate") if accuracies(stage.metrics) and "loss/mean" in stage.metrics]
    if chats:
        now = chats[-1].metrics["loss/mean"]
        lost = " (worse than a uniform guess: it can no longer write text)" if uniform and now > uniform else ""
        line += f" The chat model of {measured_stage(chats[-1])} has {now:.2f} on text{lost}."
    return line


def _uniform_guess(run: RunData) -> float | None:
    """Loss of a model that finds every token equally likely: the logarithm of the vocabulary's size."""
    for stage in run.stages:
        shape = stage.config.get("model")
        size = (shape if isinstance(shape, dict) else stage.config).get("vocab_size")
        if isinstance(size, int) and size > 1:
            return math.log(size)
    return None


def _long_context(run: RunData) -> str:
    for stage in reversed(run.done_of("evaluate")):
        lengths = [int(name.rpartition("/")[2]) for name in stage.metrics if name.startswith("needle_exact/")]
        if not lengths:
            continue
        found = {length: stage.metrics[f"needle_exact/{length}"] for length in lengths}
        longest = max(lengths)
        can = [length for length in lengths if found[length] >= 0.5]
        said = (
            f"finds most needles up to {max(can):,} tokens" if can else "cannot retrieve a needle at any length asked"
        )
        return (
            f"Long context: {measured_stage(stage)} {said}; at {longest:,} tokens it finds {percent(found[longest])}."
        )
    return "Long context: not known, no finished evaluation measured retrieval."


def _answers(run: RunData) -> str:
    chats = [stage for stage in run.done_of("evaluate") if accuracies(stage.metrics)]
    if not chats:
        return "Answers: not known, no finished evaluation asked for any."
    last = chats[-1]
    found = accuracies(last.metrics)
    mean = last.metrics.get(f"{ACCURACY}mean", sum(found.values()) / len(found))
    line = (
        f"Answers: {measured_stage(last)} answers {percent(mean)} of held-out prompts right over {len(found)} domains"
    )
    above = {domain: above_floor(last.metrics, domain) for domain in found}
    known = [domain for domain, value in above.items() if value is not None]
    if known:
        can = [domain for domain in known if above[domain]]
        cannot = [domain for domain in known if not above[domain]]
        return f"{line}; it can (above chance and the best constant reply): {_names(can)}; it cannot: {_names(cannot)}."
    best = sorted(found, key=lambda domain: -found[domain])
    ends = f"; best {_scored(best[:2], found)}, worst {_scored(best[-2:], found)}"
    return f"{line}{ends}. What a constant reply gets was not measured."


def _learned(run: RunData) -> str:
    changes = list(_changes(run.done_of("rl")))
    if not changes:
        return "Reinforcement learning: not known, no finished stage has verified accuracy before and after."
    rose = [name for name, low, _ in changes if low > 0]
    fell = [name for name, _, high in changes if high < 0]
    return (
        f"Reinforcement learning: of {len(changes)} comparisons on the same held-out prompts, {len(rose)} rose beyond "
        f"their 90 % interval ({_names(rose)}) and {len(fell)} fell ({_names(fell)})."
    )


def _changes(stages: list[StageData]) -> Iterator[tuple[str, float, float]]:
    """Stage and domain, and the ends of the interval of the change."""
    for stage in stages:
        for name, low in stage.metrics.items():
            if name.startswith("verified/") and name.endswith("/change_low"):
                high = stage.metrics.get(name.removesuffix("low") + "high")
                if high is not None:
                    domain = name.removeprefix("verified/").removesuffix("/change_low")
                    yield f"{domain} in {stage.name}", low, high


def _state(run: RunData) -> str:
    done, every = len(run.done), len(run.stages)
    seconds = sum(stage.seconds for stage in run.stages)
    tokens = sum(stage.manifest.tokens for stage in run.done_of("pretrain") if stage.manifest)
    energy = total_joules(run)
    spent = f"{energy / JOULES_PER_KWH:.3g} kWh" if energy is not None else "energy not known"
    where = "; ".join(hardware(run)) or "hardware not known"
    few = "all " if done == every else "only "
    return (
        f"Run: {few}{done} of {every} stages are finished, {number(tokens)} tokens "
        f"of pretraining, {duration(seconds)} in stages, {spent}, {where}."
    )


def _names(names: list[str]) -> str:
    if not names:
        return "none"
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more


def _scored(names: list[str], found: Mapping[str, float]) -> str:
    return " and ".join(f"{name} {percent(found[name])}" for name in names)
