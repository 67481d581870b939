"""Artifacts of another run that stand for a stage: found, checked, read, followed back, and never made here."""

import dataclasses
import gzip
import hashlib
import json
import random
import shutil
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.control.compose import compose, typed
from pipeline.control.domains import check_domains
from pipeline.control.frozen_stages import FrozenStage, freeze, imported_stage, needed_stages, select
from pipeline.control.planning import plan_phases, plan_table, with_token_budget
from pipeline.control.stage_folders import check_upstream, is_done, prepare
from pipeline.core.artifact import PARTIAL, Artifact, Manifest, publish, read_manifest
from pipeline.core.config import RunConfig, StageConfig, build
from pipeline.core.errors import ArtifactError, ConfigError
from pipeline.release.lineage import disclosures, lineage
from tests.runs import outcome

DISCLOSED = [{"name": "letters", "documents": 200}]
SIZES = ("model.vocab_size=512", "tracking=off")


def configured(root: Path, *overrides: str) -> tuple[RunConfig, list[FrozenStage]]:
    config = typed(compose(["scale=smoke", f"root='{root}'", *SIZES, *overrides]))
    return config, freeze(config)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all runs, with a finished stage `curate` of the run `other`, whose documents are random letters."""
    root = tmp_path_factory.mktemp("made") / "all runs"
    curate = configured(root, "run=other")[1][0]
    directory = curate.directory(root)
    prepare(curate, root)
    documents = directory / PARTIAL / "documents" / "letters"
    documents.mkdir(parents=True)
    draw = random.Random(0)
    texts = [" ".join("".join(draw.choices("etaoin", k=5)) for _ in range(40)) for _ in range(200)]
    with gzip.open(documents / "00000.jsonl.gz", "wt") as file:
        for text in texts:
            identity = hashlib.sha256(text.encode()).hexdigest()
            file.write(json.dumps({"id": identity, "text": text, "metadata": {}}) + "\n")
    (directory / PARTIAL / "disclosure.json").write_text(json.dumps(DISCLOSED))
    metrics = {"letters/bytes": float(sum(map(len, texts)))}
    made = Manifest(stage="curate", kind="curate", fingerprint=curate.fingerprint, inputs={}, files={}, metrics=metrics)
    publish(directory, made)
    return root


@pytest.fixture
def root(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "all runs"))


def test_an_artifact_stands_for_a_stage_with_its_own_fingerprint(root: Path) -> None:
    own = configured(root, "run=mine")[1]
    # What the settings here say of the stage does not count.
    config, stages = configured(root, "run=mine", "stages.curate.from=other", "stages.curate.config.recipes=nowhere")
    assert [stage.fingerprint for stage in stages] == [stage.fingerprint for stage in own]
    curate, tokenizer = stages[0], stages[2]
    assert curate.directory(root) == root / "other" / "curate"
    assert is_done(curate, curate.directory(root))
    assert tokenizer.inputs["corpus"] == {**own[0].as_input, "folder": "../other/curate"}
    assert "curate" not in {stage.stage for stage in select(stages, None, None)}
    assert f"curate: from {root / 'other' / 'curate'}" in plan_table(config, stages, stages[1:]).splitlines()
    with pytest.raises(ConfigError, match=r"stages\.curate\.from: .*nothing to make here; work on it in that run$"):
        select(stages, "curate", "curate")


def imported(root: Path, kind: str, taken_from: str) -> FrozenStage:
    config = build(
        RunConfig, {"run": "mine", "root": str(root), "scale": "", "model": {}, "tracking": {}, "stages": {}}, ""
    )
    return imported_stage(config, kind, build(StageConfig, {"kind": kind, "from": taken_from}, ""))


@pytest.mark.parametrize("value", ["{root}/other", "{root}/other/curate", "other", "other/curate"])
def test_a_run_or_a_stage_of_it_is_named_by_path_or_below_the_folder_of_runs(root: Path, value: str) -> None:
    assert imported(root, "curate", value.format(root=root)).folder == "../other/curate"


def test_an_artifact_outside_the_folder_of_runs_is_known_by_its_whole_path(root: Path) -> None:
    found = imported(root / "elsewhere", "curate", str(root / "other"))
    assert found.directory(root / "elsewhere") == root / "other" / "curate"


@pytest.mark.parametrize(
    ("kind", "value", "line"),
    [
        ("curate", "nowhere", r"^stages\.curate\.from=nowhere: no finished stage there \(looked for .*nowhere/curate"),
        ("tokenize", "other/curate", r"other/curate is a curate, set the folder of a tokenize$"),
    ],
)
def test_what_cannot_stand_for_a_stage_is_named(root: Path, kind: str, value: str, line: str) -> None:
    with pytest.raises(ConfigError, match=line):
        imported(root, kind, value)


def test_what_only_serves_a_stage_of_another_run_is_left_out() -> None:
    stages = {
        "curate": StageConfig(kind="curate"),
        "tokenizer": StageConfig(kind="tokenizer", inputs={"corpus": "curate"}),
        "tokenize": StageConfig(kind="tokenize", inputs={"corpus": "curate", "tokenizer": "tokenizer"}),
        "phase1": StageConfig(kind="pretrain", inputs={"tokens": "tokenize", "tokenizer": "tokenizer"}),
    }
    assert list(needed_stages(stages)) == list(stages)
    stages["tokenize"] = dataclasses.replace(stages["tokenize"], taken_from="other")
    assert list(needed_stages(stages)) == list(stages)
    stages["tokenizer"] = dataclasses.replace(stages["tokenizer"], taken_from="other")
    assert list(needed_stages(stages)) == ["tokenizer", "tokenize", "phase1"]


def test_mixtures_are_held_to_the_domains_that_were_made(root: Path) -> None:
    phases = ("1", "2", "3", "4", "5_32k", "5_128k", "5_512k")
    taken = ["run=mine", "stages.curate.from=other"]
    config, stages = configured(root, *taken, *(f"stages.phase{n}.config.mixture={{letters: 1}}" for n in phases))
    check_domains(config, stages, stages)
    assert with_token_budget(stages, root)[3].config["demand"]["letters"] > 0
    config, stages = configured(root, *taken, *(f"stages.phase{n}.config.mixture={{leters: 1}}" for n in phases))
    with pytest.raises(ConfigError, match=r"phase1\.config\.mixture\.leters: .*did you mean letters\?$"):
        check_domains(config, stages, stages)


def test_an_artifact_that_was_damaged_is_refused_before_anything_runs(root: Path) -> None:
    _, stages = configured(root, "run=mine", "stages.curate.from=other")
    (root / "other" / "curate" / "documents" / "letters" / "00000.jsonl.gz").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"00000\.jsonl\.gz: has 0 bytes.*fivephase remake curate run=other"):
        check_upstream(stages, select(stages, "tokenizer", "tokenizer"), root)


def test_a_worker_reads_it_and_lineage_follows_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, stages = configured(root, "run=mine", "stages.curate.from=other", "+stages.tokenizer.inputs={corpus: curate}")
    tokenizer = next(stage for stage in stages if stage.stage == "tokenizer")
    del tokenizer.inputs["synthetic"]
    prepare(tokenizer, root)
    directory = tokenizer.directory(root)
    assert outcome(directory)[0] == 0
    manifest = read_manifest(directory)
    assert manifest is not None
    assert manifest.inputs["corpus"]["folder"] == "../other/curate"
    found = lineage(Artifact(directory, manifest))
    assert [each.manifest.stage for each in found] == ["other/curate", "tokenizer"]
    assert disclosures(found) == DISCLOSED
    assert is_done(tokenizer, directory)
    moved = root.rename(root.with_name("moved"))
    assert is_done(tokenizer, moved / "mine" / "tokenizer")
    assert lineage(Artifact(moved / "mine" / "tokenizer", manifest))[0].directory == moved / "other" / "curate"
    with pytest.raises(SystemExit) as ended:
        main(
            [
                "plan",
                "--format=tsv",
                "scale=smoke",
                f"root='{moved}'",
                *SIZES,
                "run=mine",
                "stages.curate.from=other",
                "to=tokenizer",
            ]
        )
    assert ended.value.code == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert (rows[0][0], {row[0]: row[4] for row in rows}["tokenizer"]) == ("synthesize", "synthesize")


def test_a_phase_of_another_run_is_where_the_next_begins(root: Path) -> None:
    """Its tokens and its learning rate are those that its state says, not those that its settings here would give."""
    phase = configured(root, "run=other")[1]
    phase4 = next(stage for stage in phase if stage.stage == "phase4")
    directory = phase4.directory(root)
    (directory / PARTIAL).mkdir(parents=True)
    state = directory / PARTIAL / "training_state"
    state.mkdir()
    (state / "progress.json").write_text(json.dumps({"tokens": 7_000_000, "learning_rate": 0.003}))
    prepare(phase4, root)
    publish(directory, Manifest(stage="phase4", kind="pretrain", fingerprint=phase4.fingerprint, inputs={}, files={}))
    config, stages = configured(root, "run=mine", "stages.curate.from=other", "stages.phase4.from=other")
    assert with_token_budget(stages, root)
    planned = plan_phases(stages, config.root)
    assert "phase4" not in planned
    assert planned["phase5_32k"].tokens_before == 7_000_000
    names = [stage.stage for stage in stages]
    assert not {"phase1", "phase2", "phase3"} & set(names), "they only serve phase 4"
