"""A task reads what is its own, and opens no more files when there are more tasks."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy
import pytest
from datatrove.data import Document

from pipeline.core.arrays import write_array
from pipeline.core.errors import DataError
from pipeline.core.files import read_json
from pipeline.curation.dedup.repeated_ngrams import document_of
from pipeline.curation.executors.run_tasks import TaskProgress
from pipeline.curation.tasks.deduplicate import FilterNearDuplicates, HashNgrams, LshBuckets, MergeExact
from pipeline.curation.tasks.ranged_parts import read_range, write_part
from pipeline.curation.tasks.workspace import DomainWorkspace
from pipeline.curation.text.documents import content_id, order, read_documents, write_documents
from tests.curation.recipe_files import recipe, write_lines, write_recipe
from tests.settings import stage_config

TASKS = 100
EVERYWHERE = "a text of all parts"
FEW = 10
"""Files that a task may open beside those that are open already."""
MORE_TASKS_THAN_FILES = pytest.mark.parametrize(
    ("tasks", "limit"), [(TASKS, None), pytest.param(1_100, 1_024, marks=pytest.mark.slow)]
)
"""Many tasks with few files, and as many as fail where `ulimit -n` is 1,024, as is usual."""


@contextmanager
def few_handles(limit: int | None = None) -> Iterator[None]:
    """As on a machine with many tasks, where each has few files left to open; or with a limit as `ulimit -n` sets."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(map(int, os.listdir("/dev/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + FEW if limit is None else limit, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def workspace(folder: Path, steps: list[dict[str, Any]], tasks: int = TASKS) -> DomainWorkspace:
    """The workspace of a domain with these steps."""
    write_recipe(folder / "recipes", recipe(write_lines(folder / "in.jsonl", ["not read"]), steps))
    config = stage_config("curate", recipes=str(folder / "recipes"))
    return DomainWorkspace(folder / "domain", config.load()[0], tasks)


def document(text: str, origin: str = "") -> Document:
    return Document(text=text, id=content_id(text), metadata={"source": "", "origin": origin})


def texts(path: Path) -> list[str]:
    return [each.text for each in read_documents(path)]


@MORE_TASKS_THAN_FILES
def test_exact_duplicates_are_merged_with_few_files_open(tmp_path: Path, tasks: int, limit: int | None) -> None:
    work = workspace(tmp_path, [{"step": "exact_dedup"}], tasks)
    for task in range(tasks):
        # Each text stands in two parts, and in each part twice.
        part = [document(f"text {(task + other) % tasks}", f"{task}/{copy}") for other in (0, 1) for copy in (0, 1)]
        # And one in all of them, for which no part is at its end before another is needed.
        part.append(document(EVERYWHERE, f"{task}/0"))
        write_part(work.filtered_part(task), sorted(part, key=order), tasks, work.shard_of)
    # All shards of a hundred; of more, some suffice: each reads all parts.
    everywhere = work.shard_of(document(EVERYWHERE))
    chosen = sorted({everywhere, *range(0, tasks, 1 if tasks == TASKS else 50)})
    with few_handles(limit):
        for shard in chosen:
            MergeExact(work, shard)(TaskProgress(tmp_path, shard))
    shards = {shard: list(read_documents(work.exact_unique(shard))) for shard in chosen}
    merged = [each for shard in shards.values() for each in shard]
    every_text = sorted((EVERYWHERE, *(f"text {number}" for number in range(tasks))), key=content_id)
    assert [each.text for each in merged] == [each for each in every_text if work.shard_of(document(each)) in chosen]
    assert len(merged) > len(chosen) // 2
    assert all(work.shard_of(each) == number for number, shard in shards.items() for each in shard)
    # Of equal documents the first by origin stays.
    for each in merged:
        number = int(each.text.removeprefix("text ")) if each.text != EVERYWHERE else 0
        assert each.metadata["origin"] == min(f"{number}/0", f"{(number - 1) % tasks}/0")
    rows = [row for path in sorted(work.audit_logs.glob("*.json")) for row in read_json(path)["rows"]]
    assert len(rows) == 3 * (len(merged) - 1) + tasks - 1


def test_a_bucket_is_sorted_with_few_files_open(tmp_path: Path) -> None:
    work = workspace(tmp_path, [{"step": "exact_dedup"}, {"step": "minhash", "buckets": 2}])
    for shard in range(TASKS):
        # One document each, in the first bucket like that of one other shard, in the second like none.
        write_array(work.signatures(shard), numpy.array([[1 + shard % 50], [1 + shard]], numpy.uint64))
    with few_handles():
        for bucket in range(2):
            LshBuckets(work, bucket)(TaskProgress(tmp_path, bucket))
    indices = numpy.load(work.candidate_groups / "000.indices.npy")
    assert sorted(indices.reshape(-1, 2).tolist()) == [[number, number + 50] for number in range(50)]
    assert not len(numpy.load(work.candidate_groups / "001.indices.npy"))


def test_ngrams_are_hashed_without_reading_other_shards(tmp_path: Path) -> None:
    steps = [{"step": "exact_dedup"}, {"step": "substring_dedup", "minimum_units": 2, "buckets": 1}]
    work = workspace(tmp_path, steps, tasks=4)
    documents = sorted((document(f"number {number} of some") for number in range(20)), key=order)
    for shard in range(4):
        own = [each for each in documents if work.shard_of(each) == shard]
        write_documents(work.exact_unique(shard), own)
    FilterNearDuplicates(work)(TaskProgress(tmp_path, 0))
    sizes = [len(texts(work.near_unique(shard))) for shard in range(4)]
    assert all(sizes)
    for shard in (0, 1, 3):
        work.near_unique(shard).write_bytes(b"not read")
    HashNgrams(work, 2)(TaskProgress(tmp_path, 0))
    found = numpy.load(work.ngrams / "000" / "00002.npy")
    assert sorted(set(document_of(found["place"]).tolist())) == list(range(sum(sizes[:2]), sum(sizes[:3])))


def test_a_part_that_is_damaged_is_said(tmp_path: Path) -> None:
    work = workspace(tmp_path, [], tasks=2)
    documents = sorted((document(f"text {number}") for number in range(9)), key=order)
    write_part(tmp_path / "part", documents, 2, work.shard_of)
    assert [each.text for number in range(2) for each in read_range(tmp_path / "part", number)] == [
        each.text for each in documents
    ]
    content = (tmp_path / "part").read_bytes()
    (tmp_path / "part").write_bytes(content[:-9])
    with pytest.raises(DataError, match=r"part: damaged .*; make its stage again"):
        list(read_range(tmp_path / "part", 1))
