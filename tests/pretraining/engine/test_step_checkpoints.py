"""Checkpoints inside a phase: any number of ranks goes on, and what is damaged or of other data is not used."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.core.errors import CheckpointError
from pipeline.core.files import read_json, write_json
from pipeline.core.verified_folder import MANIFEST, newest_verified_step
from pipeline.pretraining.engine import optimizer_state
from pipeline.pretraining.engine.engine import leave_process_group
from pipeline.pretraining.engine.logits_check import check_logits, reference_logits
from tests.distributed import run_on_ranks, save
from tests.pretraining.training import RecordingTracker, phase, trainer
from tests.runs import write_counting_tokens

STAGES = (0, 1, 2, 3)
FIRST, STEPS = 10, 60


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokens")
    write_counting_tokens(folder)
    return folder / "tokens"


def train_whole(tokens: Path, work: Path, path: Path) -> None:
    """All steps without a break, on every stage; the checkpoint of step ten stays."""
    found = {}
    for stage in STAGES:
        settings = phase(stage, STEPS, save_every_steps=FIRST, keep_every_steps=FIRST, keep_checkpoints=1)
        trained = trainer(settings, tokens, work / str(stage))
        recorded = RecordingTracker(trained)
        trained.train()
        found[stage] = {"losses": recorded.losses, "state": optimizer_state.gather_training_state(trained.engine)}
        trained.engine.destroy()
    save(path, found)
    leave_process_group()


def go_on(tokens: Path, work: Path, path: Path) -> None:
    """From step ten to the end, on every stage."""
    found = {}
    for stage in STAGES:
        steps = work / str(stage) / "state" / "steps"
        trained = trainer(phase(stage, STEPS, save_every_steps=1000), tokens, work / str(stage))
        recorded = RecordingTracker(trained)
        trained.train()
        found[stage] = {"losses": recorded.losses, "universal": trained.checkpoints.universal}
        assert (steps / str(FIRST)).exists()
        trained.engine.destroy()
    save(path, found)
    leave_process_group()


def only_first(work: Path) -> None:
    """As if the run had been stopped after step ten."""
    for stage in STAGES:
        steps = work / str(stage) / "state" / "steps"
        assert {path.name for path in steps.iterdir()} == {str(step) for step in range(FIRST, STEPS, FIRST)}
        for path in steps.iterdir():
            if path.name != str(FIRST):
                shutil.rmtree(path)


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2), (2, 2)])
def test_another_number_of_ranks_goes_on_with_equal_losses(
    before: int, after: int, tokens: Path, tmp_path: Path
) -> None:
    run_on_ranks(train_whole, before, tokens, tmp_path, tmp_path / "whole.pt")
    only_first(tmp_path)
    run_on_ranks(go_on, after, tokens, tmp_path, tmp_path / "rest.pt")
    whole = torch.load(tmp_path / "whole.pt", weights_only=True)
    rest = torch.load(tmp_path / "rest.pt", weights_only=True)
    for stage in STAGES:
        assert rest[stage]["universal"] == (before != after and stage > 0)
        assert list(rest[stage]["losses"]) == list(range(FIRST + 1, STEPS + 1))
        for step, loss in rest[stage]["losses"].items():
            tolerance = 0 if before == after else 1e-5
            assert loss == pytest.approx(whole[stage]["losses"][step], rel=tolerance), (stage, step)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on CPU")
@pytest.mark.skipif(" " in torch.__file__, reason="on CPU torch 2.13 hands its folder to the linker unquoted")
def test_compiled_blocks_train_alike(tokens: Path, tmp_path: Path) -> None:
    losses = []
    for compiled in (False, True):
        trained = trainer(phase(1, 4, compile=compiled), tokens, tmp_path / str(compiled))
        recorded = RecordingTracker(trained)
        trained.train()
        trained.engine.destroy()
        losses.append(list(recorded.losses.values()))
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_held_out_loss_is_measured_in_the_loop(tokens: Path, tmp_path: Path) -> None:
    settings = phase(1, 6, validation={"sequences_per_domain": 2, "every_steps": 2})
    trained = trainer(settings, tokens, tmp_path)
    recorded = RecordingTracker(trained)
    trained.train()
    measured = [each for each in recorded.metrics if "held_out/mean" in each]
    assert len(measured) == 2
    assert {"held_out/code", "held_out/math", "held_out/near"} <= measured[0].keys()
    assert measured[1]["held_out/mean"] < measured[0]["held_out/mean"]
    trained.engine.destroy()


def saved(tokens: Path, work: Path, **changes: Any) -> Path:
    """The `steps/` of a phase of eight steps on one rank that has been trained."""
    trained = trainer(phase(1, 8, save_every_steps=2, **changes), tokens, work)
    trained.train()
    trained.engine.destroy()
    return work / "state" / "steps"


def test_another_micro_batch_goes_on_with_equal_losses(tokens: Path, tmp_path: Path) -> None:
    losses = []
    for micro_batch in (2, 8):
        settings = phase(1, 12, save_every_steps=4, sequences_per_rank=micro_batch)
        trained = trainer(settings, tokens, tmp_path)
        recorded = RecordingTracker(trained)
        trained.train()
        trained.engine.destroy()
        losses.append(recorded.losses)
        shutil.rmtree(tmp_path / "state" / "steps" / "8")
    assert list(losses[1]) == list(range(5, 13))
    assert losses[1] == pytest.approx({step: losses[0][step] for step in losses[1]}, rel=1e-5)


@pytest.mark.parametrize("staged", [False, True])
def test_what_is_kept_and_what_is_good(staged: bool, tokens: Path, tmp_path: Path) -> None:
    staging = {"checkpoint_staging": str(tmp_path / "fast")} if staged else {}
    steps = saved(tokens, tmp_path / "work", keep_checkpoints=1, keep_every_steps=4, **staging)
    assert {path.name for path in steps.iterdir()} == {"4", "6"}
    assert not staged or list((tmp_path / "fast").iterdir()) == []
    manifest = read_json(steps / "6" / MANIFEST)
    assert sum(manifest["samples"].values()) == 6 * 8
    # One changed byte, and the size as it was.
    damaged = steps / "6" / max(manifest["files"], key=lambda name: manifest["files"][name][0])
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    assert newest_verified_step(steps) == steps / "4"
    (steps / "4" / MANIFEST).unlink()
    assert newest_verified_step(steps) is None


def test_what_does_not_belong_is_rejected(tokens: Path, tmp_path: Path) -> None:
    steps = saved(tokens, tmp_path / "work")
    manifest = steps / "6" / MANIFEST
    whole = read_json(manifest)

    def rejected(changed: dict[str, Any], message: str) -> None:
        write_json(manifest, {**whole, **changed})
        trained = trainer(phase(1, 8, save_every_steps=2), tokens, tmp_path / "work")
        with pytest.raises(CheckpointError, match=message):
            trained.train()
        trained.engine.destroy()

    rejected({"shards": {**whole["shards"], "math": "other"}}, "tokens of math changed since; `fivephase remake ")
    rejected({"samples": {"code": 1, "math": 47}}, r"saved after \{'code': 1, 'math': 47\}, the mixture now gives")
    other = [value + 0.1 for value in whole["logits"]]
    rejected({"logits": other}, "the loaded model differs by .* from the one saved")


def test_reference_logits_tell_a_changed_model(tokens: Path, tmp_path: Path) -> None:
    trained = trainer(phase(2, 8), tokens, tmp_path)
    before = reference_logits(trained.engine)
    assert json.loads(json.dumps(before.tolist())) == before.tolist()
    check_logits(trained.engine, before, "here")
    trained._train_step(0, trained._read_micro_batches(0), False)
    with pytest.raises(CheckpointError, match="here: the loaded model differs"):
        check_logits(trained.engine, before, "here")
    trained.engine.destroy()
