"""What `contamination.json` of a run says: how many prompts of each evaluation the training data hold, and the scores.

The file names fingerprint and content of all that it was made from, so that it is known when it is of another state of
the run. `contamination_search` makes it. Imports nothing heavy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.artifact import MANIFEST, Artifact, read_manifest
from pipeline.core.errors import ArtifactError
from pipeline.core.files import read_json
from pipeline.core.terminal import one_line, text_table
from pipeline.curation.decontamination.held_prompts import MINIMUM_COVERAGE, N_GRAMS
from pipeline.evaluation.training_texts import IMPORTS, has_texts
from pipeline.release.lineage import lineage

CONTAMINATION = "contamination.json"
"""File in the folder of a run."""
ANSWERS = "samples.jsonl"
"""File of an evaluation that asked a model for answers."""
MODEL = "model"
"""Role of what an evaluation measures."""
UNKNOWN = "—"
TITLES = {"held_out": "new phrasings", "train": "seen phrasings", "instances": "new instances"}
EXAMPLE_CHARACTERS = 46


@dataclass(frozen=True)
class Evaluated:
    """A finished evaluation with answers, and what is known of the data that made its model."""

    evaluation: Artifact
    trained_on: Mapping[str, Artifact]
    """The artifacts with texts that its model was made from, by stage; one of another run as `<run>/<stage>`."""
    unknown: Sequence[str]
    """Stages that took in weights or tokens of which there are no texts."""

    @property
    def name(self) -> str:
        """The stage that is the evaluation."""
        return self.evaluation.manifest.stage

    def described(self) -> dict[str, Any]:
        """What identifies what its part of the file is made from."""
        return {
            "stage": self.name,
            **_identity(self.evaluation),
            "trained_on": {stage: _identity(made) for stage, made in self.trained_on.items()},
            "unknown": list(self.unknown),
        }


def _identity(made: Artifact) -> dict[str, str]:
    return {"fingerprint": made.manifest.fingerprint, "content": made.manifest.content}


def finished_evaluations(run: Path) -> list[Evaluated]:
    """The finished evaluations of a run that have answers, in the order in which they finished.

    Raises:
        ArtifactError: for a manifest that cannot be read, or if what a measured model was made from is missing or was
            made anew.
    """
    found: list[Evaluated] = []
    for path in run.glob(f"*/{MANIFEST}"):
        manifest = read_manifest(path.parent)
        if manifest is None or manifest.kind != "evaluate" or ANSWERS not in manifest.files:
            continue
        evaluation = Artifact(path.parent, manifest)
        # The evaluation before it is of another model.
        read = {MODEL: manifest.inputs[MODEL]}
        made_by = lineage(Artifact(path.parent, dataclasses.replace(manifest, inputs=read)))[:-1]
        texts = {each.manifest.stage: each for each in made_by if has_texts(each)}
        unknown = [each.manifest.stage for each in made_by if each.manifest.kind in IMPORTS]
        found.append(Evaluated(evaluation, texts, unknown))
    return sorted(found, key=lambda each: (each.evaluation.manifest.finished, each.name))


def described(evaluations: Sequence[Evaluated]) -> dict[str, Any]:
    """What a file is made from: thresholds, and each evaluation as `Evaluated.described`."""
    return {
        "n_grams": N_GRAMS,
        "minimum_coverage": MINIMUM_COVERAGE,
        "evaluations": [each.described() for each in evaluations],
    }


def read_current(run: Path) -> dict[str, Any] | None:
    """What the file of a run says; None if there is none, or it is of another state of the run or another version.

    Raises:
        DamagedFileError: for a file that is not JSON.
    """
    path = run / CONTAMINATION
    if not path.is_file():
        return None
    written = read_json(path)
    try:
        made_from = {
            **written,
            "evaluations": [
                {key: value for key, value in each.items() if key != "scores"} for each in written["evaluations"]
            ],
        }
        return written if made_from == described(finished_evaluations(run)) else None
    except (ArtifactError, KeyError, TypeError, AttributeError):
        return None


def contamination_lines(written: Mapping[str, Any]) -> list[str]:
    """For each evaluation and split a table with a row for each domain, then an example; 80 columns at most."""
    lines: list[str] = []
    for evaluation in written["evaluations"]:
        lines += [evaluation["stage"], f"  held against: {_sources(evaluation)}"]
        for split, title in TITLES.items():
            rows = [
                _row(domain, each)
                for domain, each in ((each["domain"], each) for each in evaluation["scores"].values())
                if each["split"] == split
            ]
            if rows:
                heads = (title, "prompts", "held", "score", "others", "95 %")
                lines += [f"  {line}" for line in text_table([heads, *rows], right=(1, 2, 3, 4), rule=True)]
        lines += [*_example(evaluation), ""]
    return lines


def _sources(evaluation: Mapping[str, Any]) -> str:
    unknown = [f"not {stage}, whose texts are not known" for stage in evaluation["unknown"]]
    return ", ".join([*evaluation["trained_on"], *unknown])


def _row(domain: str, score: Mapping[str, Any]) -> tuple[str, ...]:
    others = score["others"]
    held = f"{score['held']} ({100 * score['held'] / score['prompts']:.0f} %)"
    rest = (
        (f"{others['score']:.3f}", f"{others['low']:.3f} to {others['high']:.3f}")
        if others["prompts"]
        else (UNKNOWN, "")
    )
    return (domain, str(score["prompts"]), held, f"{score['score']:.3f}", *rest)


def _example(evaluation: Mapping[str, Any]) -> list[str]:
    splits = list(TITLES)
    for score in sorted(evaluation["scores"].values(), key=lambda each: splits.index(each["split"])):
        if each := score["example"]:
            how = "whole" if each["exact"] else f"{100 * each['coverage']:.0f} % of its words"
            return [
                f"  such as {one_line(each['prompt'], EXAMPLE_CHARACTERS)!r}:",
                f"    {how} in {each['stage']}/{each['place']}",
            ]
    return ["  none is held"]
