"""`fivephase trace`: which documents a training step saw, and in which steps training saw a document."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.control.frozen_stages import FrozenStage, read_frozen
from pipeline.core.artifact import MANIFEST, check_sizes, input_folder, read_manifest
from pipeline.core.config import build, nearest
from pipeline.core.context import derive_seed
from pipeline.core.errors import ConfigError
from pipeline.core.files import read_json
from pipeline.pretraining.config import PhaseConfig
from pipeline.pretraining.data.stream import TokenStream
from pipeline.pretraining.data.trace import Occurrence, Trace
from pipeline.tokenization.document_ids import DOCUMENT_ID

HEADER = ("phase", "step", "row", "position", "domain", "source", "document", "tokens", "epoch", "skipped")
"""Columns. `skipped` says whether the step was skipped as harmful, so that the weights have nothing of it."""


def trace_table(run: Path, step: str | None, document: str | None) -> Iterator[str]:
    """Lines of tab-separated values, of which the first is the header. Exactly one of `step` and `document` is given.

    Args:
        run: the run's folder.
        step: `<phase>/<number>`: list the documents of that step.
        document: a document's id: list every place where a finished phase saw a part of it.

    Raises:
        ConfigError: for a step or an id that cannot be looked up.
        ArtifactError: for token shards that are not those that the phases read.
    """
    if (step is None) == (document is None):
        raise ConfigError("trace: set either step=PHASE/NUMBER or document=ID")
    phases = _finished_phases(run)
    if step is not None:
        name, _, number = step.rpartition("/")
        if name not in phases:
            raise ConfigError(f"step={step}: no finished phase {name!r} in {run}, {nearest(name, phases)}")
        last = phases[name].steps - 1
        if not number.isdecimal() or int(number) > last:
            raise ConfigError(f"step={step}: {name} has steps 0 to {last}")
        found = {name: phases[name].documents_of_step(int(number))}
    else:
        assert document is not None
        if not DOCUMENT_ID.fullmatch(document):
            raise ConfigError(f"document={document}: not a document's id, which has 64 hexadecimal digits")
        found = {name: trace.steps_of_document(document) for name, trace in phases.items()}
    yield "\t".join(HEADER)
    for name, occurrences in found.items():
        skipped = set(read_json(run / name / "training_state" / "progress.json")["skipped_steps"])
        for occurrence in occurrences:
            yield _line(name, occurrence, occurrence.step in skipped)


def _line(phase: str, seen: Occurrence, skipped: bool) -> str:
    tokens = f"{seen.start}-{seen.end}"
    cells = (phase, seen.step, seen.row, seen.position, seen.domain, seen.source, seen.document, tokens, seen.epoch)
    return "\t".join(map(str, (*cells, "yes" if skipped else "no")))


def _finished_phases(run: Path) -> dict[str, Trace]:
    """The finished pretraining phases of a run, in the order in which they ran."""
    frozen = [read_frozen(path.parent) for path in run.glob(f"*/{MANIFEST}")]
    phases = [stage for stage in frozen if stage.kind == "pretrain"]
    if not phases:
        raise ConfigError(f"{run}: no finished phase of pretraining to trace, set run and root")
    started = {stage.stage: read_manifest(run / stage.stage) for stage in phases}
    return {
        stage.stage: _trace(run, stage)
        for stage in sorted(phases, key=lambda each: getattr(started[each.stage], "started", ""))
    }


def _trace(run: Path, stage: FrozenStage) -> Trace:
    phase = build(PhaseConfig, stage.config, f"stages.{stage.stage}.config")
    read = stage.inputs["tokens"]
    tokens = check_sizes(input_folder(run, read), read["fingerprint"]).directory / "tokens"
    seed = derive_seed(stage.seed, stage.stage, "data order")
    stream = TokenStream(tokens, phase.mixture, phase.context, seed)
    return Trace(tokens, stream, phase.context, phase.sequences_per_step, phase.steps)
