"""Step checkpoints count when they are whole, and the newest such one is found."""

from pathlib import Path

import pytest
from torch import distributed

from pipeline.core.verified_folder import read_manifest
from pipeline.posttraining.common.checkpoints import complete_checkpoint, newest_checkpoint, set_aside_damaged
from pipeline.posttraining.common.training import baseline_metrics
from pipeline.pretraining.engine.distributed import rank
from tests.distributed import run_on_ranks

WEIGHTS = "model.safetensors"


def save(state: Path, step: int) -> Path:
    """What a trainer leaves of a step before its callbacks know of it."""
    checkpoint = state / f"checkpoint-{step}"
    (checkpoint / "global_step").mkdir(parents=True, exist_ok=True)
    (checkpoint / WEIGHTS).write_bytes(b"weights" * 100)
    (checkpoint / "global_step" / "optimizer.pt").write_bytes(b"moments" * 100)
    return checkpoint


def test_a_checkpoint_counts_once_it_has_its_manifest(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    for step in (2, 10, 30):
        save(tmp_path, step)
    assert newest_checkpoint(tmp_path) is None
    complete_checkpoint(tmp_path, 2)
    complete_checkpoint(tmp_path, 10)
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-10"


def test_a_flipped_byte_leaves_the_checkpoint_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path, 2)
    complete_checkpoint(tmp_path, 2)
    for name in (WEIGHTS, "global_step/optimizer.pt"):
        save(tmp_path, 10)
        complete_checkpoint(tmp_path, 10)
        assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
        path = tmp_path / "checkpoint-10" / name
        whole = path.read_bytes()
        path.write_bytes(whole[:50] + bytes([whole[50] ^ 1]) + whole[51:])
        assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-2"
        set_aside_damaged(tmp_path, tmp_path / "checkpoint-2")
        said = capsys.readouterr().out
        assert "checkpoint-10: a file is not as it was written, set aside as damaged-checkpoint-10" in said
        assert "goes on from step 2" in said
        # Nothing is left that the trainer, which keeps the newest ones, would take for one.
        assert [each.name for each in tmp_path.glob("checkpoint-*")] == ["checkpoint-2"]
        assert (tmp_path / "damaged-checkpoint-10" / name).exists()


def test_a_cut_or_missing_file_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    for step in (2, 10):
        save(tmp_path, step)
        complete_checkpoint(tmp_path, step)
    path = tmp_path / "checkpoint-10" / WEIGHTS
    path.write_bytes(path.read_bytes()[:-1])
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-2"
    path.unlink()
    assert newest_checkpoint(tmp_path) == tmp_path / "checkpoint-2"


def test_a_damaged_checkpoint_that_is_written_again_counts(tmp_path: Path) -> None:
    checkpoint = save(tmp_path, 10)
    complete_checkpoint(tmp_path, 10)
    (checkpoint / WEIGHTS).write_bytes(b"damaged")
    assert newest_checkpoint(tmp_path) is None
    save(tmp_path, 10)
    (checkpoint / WEIGHTS).write_bytes(b"other weights")
    complete_checkpoint(tmp_path, 10)
    assert newest_checkpoint(tmp_path) == checkpoint


def _on_a_rank(folder: Path) -> None:
    distributed.init_process_group("gloo")
    own = folder / "checkpoint-4" / f"rng_state_{rank()}.pth"
    own.parent.mkdir(exist_ok=True)
    own.write_bytes(b"state" * (1 + rank()))
    complete_checkpoint(folder, 4)
    assert newest_checkpoint(folder) == folder / "checkpoint-4"
    # A collective on both ranks, or the second would wait forever.
    assert baseline_metrics(folder / "before.json", lambda: {"loss": float(rank())})["loss"] == rank()
    distributed.barrier()
    assert baseline_metrics(folder / "before.json", lambda: {"loss": 9.0}) == {"loss": 0.0}


@pytest.mark.slow
def test_ranks_complete_and_find_a_checkpoint_together(tmp_path: Path) -> None:
    run_on_ranks(_on_a_rank, 2, tmp_path)
    assert set(read_manifest(tmp_path / "checkpoint-4")["files"]) == {"rng_state_0.pth", "rng_state_1.pth"}
