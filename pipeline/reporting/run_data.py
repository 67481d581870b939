"""The folder of a run as a report reads it: what is there of each stage, and what is not."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.control.frozen_stages import FROZEN, FrozenStage
from pipeline.control.report import unfinished
from pipeline.core.artifact import MANIFEST, Manifest, read_manifest
from pipeline.core.errors import ArtifactError
from pipeline.core.files import read_json
from pipeline.core.history import LoggedStep, Usage, read_history, read_usage

TRAINS = ("pretrain", "sft", "reward_model", "rl")
"""Kinds of stages that train a model."""


@dataclass(frozen=True)
class StageData:
    """One stage, finished or not."""

    name: str
    kind: str
    directory: Path
    manifest: Manifest | None
    state: str
    """`done`, or how far it is."""
    config: dict[str, Any]
    """Its settings, as frozen; empty where that is not known."""
    inputs: dict[str, str]
    """Role to name of the stage that it reads."""
    history: list[LoggedStep]
    usage: Usage

    @property
    def metrics(self) -> dict[str, float]:
        """The numbers in its manifest; none of an unfinished one."""
        found = self.manifest.metrics if self.manifest else {}
        return {name: float(value) for name, value in found.items() if isinstance(value, int | float)}

    @property
    def seconds(self) -> float:
        """Wall-clock time of all attempts, as far as it is known."""
        return max(self.usage.seconds, self.manifest.seconds if self.manifest else 0.0)

    def file(self, name: str) -> Any:
        """What a JSON file of the artifact holds; None if there is none, or it cannot be read."""
        try:
            return read_json(self.directory / name)
        except (OSError, ValueError):
            return None

    def lines(self, name: str, most: int = 10_000) -> list[dict[str, Any]]:
        """The first objects of a JSONL file of the artifact; those that cannot be read are left out."""
        rows: list[dict[str, Any]] = []
        try:
            with (self.directory / name).open(errors="replace") as file:
                for line in file:
                    row = _json(line)
                    if isinstance(row, dict):
                        rows.append(row)
                    if len(rows) >= most:
                        break
        except OSError:
            return []
        return rows


@dataclass(frozen=True)
class RunData:
    """A run: its stages in order, and what could not be read of it."""

    name: str
    folder: Path
    stages: Sequence[StageData]
    settings: list[str]
    """The overrides that the run remembers."""
    problems: list[str] = field(default_factory=list)

    @property
    def done(self) -> list[StageData]:
        """The finished stages, in the order of the chain."""
        return [stage for stage in self.stages if stage.manifest is not None]

    def of(self, *kinds: str) -> list[StageData]:
        """The stages of some kinds, finished or not."""
        return [stage for stage in self.stages if stage.kind in kinds]

    def done_of(self, *kinds: str) -> list[StageData]:
        """The finished stages of some kinds."""
        return [stage for stage in self.of(*kinds) if stage.manifest is not None]


def load_run(folder: Path, planned: Sequence[FrozenStage] | None = None, problems: Iterable[str] = ()) -> RunData:
    """Reads a run's folder. What is missing or damaged is told, not raised.

    Args:
        folder: of the run.
        planned: its stages as its settings make them, in order; None for a run that is known by its folder alone, whose
            stages then come in the order in which they were finished.
        problems: what is known already not to be there.
    """
    found = list(problems)
    names = [stage.stage for stage in planned] if planned is not None else _stages_in(folder)
    by_name = {stage.stage: stage for stage in planned or ()}
    stages = [_load_stage(folder, name, by_name.get(name), found) for name in names]
    if planned is None:
        stages.sort(key=lambda stage: (stage.manifest is None, stage.manifest.finished if stage.manifest else ""))
    remembered = _object(folder / "run.json").get("overrides")
    settings = [str(each) for each in remembered] if isinstance(remembered, list) else []
    return RunData(folder.name, folder, stages, settings, found)


def _load_stage(folder: Path, name: str, planned: FrozenStage | None, problems: list[str]) -> StageData:
    directory = planned.directory(folder.parent) if planned else folder / name
    frozen = _object(directory / FROZEN)
    manifest, state = None, ""
    try:
        manifest = read_manifest(directory)
    except ArtifactError as error:
        problems.append(str(error))
        state = "damaged"
    if manifest is not None:
        state = "done"
        if planned is not None and planned.fingerprint != manifest.fingerprint:
            state = "done, with other settings than the run has now"
            problems.append(f"{name}: made with other settings than the run has now; its numbers are of those")
        absent = [each for each in ("host", "packages", "finished") if not getattr(manifest, each)]
        if absent:
            problems.append(f"{name}: its manifest, of an older version, does not say {', '.join(absent)}")
    config = frozen.get("config") or (planned.config if planned else {})
    inputs = (manifest.inputs if manifest else None) or frozen.get("inputs") or (planned.inputs if planned else {})
    kind = manifest.kind if manifest else str(frozen.get("kind") or (planned.kind if planned else ""))
    return StageData(
        name=name,
        kind=kind,
        directory=directory,
        manifest=manifest,
        state=state or _how_far(directory),
        config=config if isinstance(config, dict) else {},
        inputs={role: str(each.get("stage")) for role, each in inputs.items() if isinstance(each, dict)},
        history=read_history(directory),
        usage=read_usage(directory),
    )


def _how_far(directory: Path) -> str:
    far = unfinished(directory)
    return "not started" if far == "—" else far if far == "started" else f"at {far}"


def _stages_in(folder: Path) -> list[str]:
    return sorted({path.parent.name for name in (FROZEN, MANIFEST) for path in folder.glob(f"*/{name}")})


def _object(path: Path) -> dict[str, Any]:
    try:
        found = read_json(path)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
