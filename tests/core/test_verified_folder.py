"""Folders that are told from incomplete and damaged ones."""

from pathlib import Path

import pytest

from pipeline.core.verified_folder import (
    MANIFEST,
    describe_files,
    is_verified,
    newest_verified_step,
    read_manifest,
    write_manifest,
)


def step_folder(folder: Path, content: bytes = b"0123456789") -> Path:
    (folder / "inner").mkdir(parents=True)
    (folder / "weights").write_bytes(content)
    (folder / "inner" / "optimizer").write_bytes(content)
    (folder / "empty").write_bytes(b"")
    write_manifest(folder, describe_files(folder), step=3)
    return folder


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_manifest_names_every_file_and_what_it_was_given(tmp_path: Path) -> None:
    manifest = read_manifest(step_folder(tmp_path / "3"))
    assert manifest["step"] == 3
    assert {name: size for name, (size, _) in manifest["files"].items()} == {
        "weights": 10, "inner/optimizer": 10, "empty": 0,
    }  # fmt: skip


def test_ranks_share_the_files(tmp_path: Path) -> None:
    folder = step_folder(tmp_path / "3")
    (folder / MANIFEST).unlink()
    shares = [describe_files(folder, rank, 2) for rank in range(2)]
    assert all(shares)
    assert shares[0] | shares[1] == describe_files(folder)
    assert not shares[0].keys() & shares[1].keys()


@pytest.mark.parametrize("damage", ["bit", "cut", "missing", "manifest"])
def test_damage_shows(damage: str, tmp_path: Path) -> None:
    folder = step_folder(tmp_path / "3")
    (folder / "later").write_bytes(b"not in the manifest")
    assert is_verified(folder)
    path = folder / "inner" / "optimizer"
    if damage == "bit":
        flip_a_bit(path)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif damage == "missing":
        path.unlink()
    else:
        (folder / MANIFEST).unlink()
    assert not is_verified(folder)


def test_a_rank_tells_the_others_of_damage_in_its_share(tmp_path: Path) -> None:
    folder = step_folder(tmp_path / "3")
    flip_a_bit(folder / "weights")
    found: list[bool] = []
    for rank in range(3):
        is_verified(folder, rank, 3, lambda damaged: not found.append(damaged))
    assert sorted(found) == [False, False, True]
    assert not is_verified(folder, 0, 3, lambda damaged: True)


@pytest.mark.parametrize("prefix", ["", "checkpoint-"])
def test_the_newest_whole_step_is_found_by_its_number(prefix: str, tmp_path: Path) -> None:
    assert newest_verified_step(tmp_path / "missing", prefix) is None
    for step in (2, 9, 10):
        step_folder(tmp_path / f"{prefix}{step}")
    (tmp_path / f"{prefix}11").mkdir()
    (tmp_path / f".{prefix}12").mkdir()
    (tmp_path / f"{prefix}best").mkdir()
    assert newest_verified_step(tmp_path, prefix) == tmp_path / f"{prefix}10"
    flip_a_bit(tmp_path / f"{prefix}10" / "weights")
    assert newest_verified_step(tmp_path, prefix) == tmp_path / f"{prefix}9"
