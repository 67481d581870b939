"""How long a run has yet to go, by what its stages took that are finished."""

from collections.abc import Sequence
from pathlib import Path

from pipeline.control.frozen_stages import FrozenStage, read_frozen
from pipeline.control.planning import plan_phases
from pipeline.core.artifact import MANIFEST, Manifest, read_manifest
from pipeline.core.errors import ArtifactError, ConfigError


class RunTime:
    """Estimates the time of stages that are still to be made.

    A stage takes as long as those of its kind did, in proportion to their work: floating-point operations for phases
    of pretraining, the same for each of another kind. What no stage of the run tells is taken from a run beside it, of
    which the stage was made last.
    """

    def __init__(self, stages: Sequence[FrozenStage], to_make: Sequence[FrozenStage], root: str | Path) -> None:
        """Reads what the stages took that are done.

        Args:
            stages: all of the run.
            to_make: those that a command is to make, in order.
            root: folder of all runs.
        """
        self._to_make = [stage.stage for stage in to_make]
        planned = plan_phases(stages, root)
        self._work = {name: phase.flops for name, phase in planned.items() if phase.flops is not None}
        self._kinds = {stage.stage: stage.kind for stage in stages}
        self._seconds: dict[str, float] = {}
        for stage in stages:
            found = _manifest(stage.directory(root))
            if found is not None and found.fingerprint == stage.fingerprint:
                self._seconds[stage.stage] = found.seconds
        self._elsewhere = {stage.stage: _last_time(stage, root) for stage in to_make}

    def finished(self, manifest: Manifest) -> None:
        """Takes note of a stage that was made."""
        self._seconds[manifest.stage] = manifest.seconds

    def after(self, name: str) -> tuple[float, bool]:
        """Seconds for the stages that come after one, and whether that is all of them: some may be unknown."""
        later = self._to_make[self._to_make.index(name) + 1 :]
        found = [self.of(each) for each in later if each not in self._seconds]
        return sum(seconds for seconds in found if seconds is not None), None not in found

    def of(self, name: str) -> float | None:
        """Seconds that a stage is expected to take; None if nothing tells."""
        alike = [each for each in self._seconds if self._kinds[each] == self._kinds[name]]
        if not alike:
            return self._elsewhere.get(name)
        done = sum(self._work.get(each, 1.0) for each in alike)
        return sum(self._seconds[each] for each in alike) * self._work.get(name, 1.0) / done


def _manifest(directory: Path) -> Manifest | None:
    try:
        return read_manifest(directory)
    except ArtifactError:
        return None  # damaged, which whoever reads it says


def _last_time(stage: FrozenStage, root: str | Path) -> float | None:
    """Seconds that the same stage took in the run that made it last with these settings, whatever the seed."""
    made = sorted(Path(root).glob(f"*/{stage.stage}/{MANIFEST}"), key=lambda path: -path.stat().st_mtime)
    for path in made:
        try:
            frozen = read_frozen(path.parent)
        except ConfigError:
            continue
        if (frozen.kind, frozen.config) == (stage.kind, stage.config):
            manifest = _manifest(path.parent)
            return manifest.seconds if manifest is not None else None
    return None
