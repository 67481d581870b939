"""Looks the prompts of a run's evaluations up in the training data of the models that were asked them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

from pipeline.core.artifact import Artifact, check_sizes
from pipeline.core.errors import ConfigError
from pipeline.core.files import read_json, write_json
from pipeline.core.progress import Progress
from pipeline.core.statistics import mean_interval
from pipeline.curation.decontamination.held_prompts import Held, HeldPrompts
from pipeline.evaluation.accuracy import score_name
from pipeline.evaluation.answers import Answer, read_answers
from pipeline.evaluation.contamination import CONTAMINATION, Evaluated, described, finished_evaluations
from pipeline.evaluation.training_texts import expected_texts, read_texts


class Found(NamedTuple):
    """Where a prompt is held most, of the texts of one artifact."""

    place: str
    held: Held


def measure_contamination(run: Path, progress: Progress) -> dict[str, Any]:
    """Reads the training data of all models that were asked for answers, and writes `contamination.json`.

    Args:
        run: the run's folder.
        progress: is told the texts that were read.

    Returns:
        What was written.

    Raises:
        ConfigError: if no evaluation with answers is finished, or there is no training data of any.
        ArtifactError: if an artifact is damaged, or what a measured model was made from is missing or was made anew.
        DataError: for a file that is damaged.
    """
    evaluations = finished_evaluations(run)
    if not evaluations:
        raise ConfigError(
            f"run={run.name}: no finished evaluation in {run} has answers; `fivephase run run={run.name} "
            "to=evaluate_sft`, with the other overrides of the run, makes one"
        )
    sources = {made.directory: made for each in evaluations for made in each.trained_on.values()}
    if not sources:
        raise ConfigError(
            f"run={run.name}: what its evaluated models were trained on is not known here: no stage of theirs has "
            "documents or conversations; name a run that curates or has sft_data"
        )
    answers = {each.name: _answers(each) for each in evaluations}
    prompts = list(dict.fromkeys(answer.prompt for own in answers.values() for answer in own))
    numbers = {prompt: number for number, prompt in enumerate(prompts)}
    index = HeldPrompts(prompts)
    progress.start(sum(map(expected_texts, sources.values())) or None, "texts", "training data")
    held = {folder: _search(index, made, progress) for folder, made in sources.items()}
    written = described(evaluations)
    for each, record in zip(evaluations, written["evaluations"], strict=True):
        own = {stage: held[made.directory] for stage, made in each.trained_on.items()}
        groups: dict[str, list[Answer]] = {}
        for answer in answers[each.name]:
            groups.setdefault(score_name(answer.domain, answer.split), []).append(answer)
        # Where nothing is known of what a model was trained on, nothing is said of its prompts.
        record["scores"] = {name: _scored(group, numbers, own) for name, group in groups.items()} if own else {}
    write_json(run / CONTAMINATION, written)
    return read_json(run / CONTAMINATION)


def _answers(each: Evaluated) -> list[Answer]:
    """An answer to each prompt that was asked, the first one where there are several."""
    check_sizes(each.evaluation.directory, each.evaluation.manifest.fingerprint)
    found: dict[tuple[str, ...], Answer] = {}
    for answer in read_answers(each.evaluation.directory) or []:
        found.setdefault(answer.asked, answer)
    return list(found.values())


def _search(index: HeldPrompts, made: Artifact, progress: Progress) -> dict[int, Found]:
    best: dict[int, Found] = {}
    for place, text in read_texts(made):
        for held in index.find(text):
            if held.prompt not in best or best[held.prompt].held.rank < held.rank:
                best[held.prompt] = Found(place, held)
        progress.advance()
    return best


def _scored(
    answers: Sequence[Answer], numbers: Mapping[str, int], held: Mapping[str, Mapping[int, Found]]
) -> dict[str, Any]:
    """The score of a domain and split, how many of its prompts are held and by what, and the score on the others."""
    best: dict[str, tuple[str, Found]] = {}
    by_stage = Counter[str]()
    for answer in answers:
        number = numbers[answer.prompt]
        hits = [(stage, found[number]) for stage, found in held.items() if number in found]
        by_stage.update(stage for stage, _ in hits)
        if hits:
            best[answer.prompt] = max(hits, key=lambda hit: hit[1].held.rank)
    first = next(iter(best.items()), None)
    asked = [best[answer.prompt][1].held for answer in answers if answer.prompt in best]
    return {
        "domain": answers[0].domain,
        "split": answers[0].split,
        **_score([answer.score for answer in answers]),
        "held": len(asked),
        "exact": sum(each.exact for each in asked),
        "by_stage": dict(by_stage),
        "others": _score([answer.score for answer in answers if answer.prompt not in best]),
        "example": _example(*first) if first else None,
    }


def _score(scores: Sequence[float]) -> dict[str, float | None]:
    """Mean and 95 % interval over so many prompts; none of no prompts."""
    if not scores:
        return {"prompts": 0, "score": None, "low": None, "high": None}
    interval = mean_interval(scores)
    return {"prompts": len(scores), "score": fmean(scores), "low": interval.low, "high": interval.high}


def _example(prompt: str, hit: tuple[str, Found]) -> dict[str, Any]:
    stage, (place, held) = hit
    return {
        "prompt": prompt,
        "stage": stage,
        "place": place,
        "exact": held.exact,
        "coverage": held.coverage,
        "text": held.excerpt,
    }
