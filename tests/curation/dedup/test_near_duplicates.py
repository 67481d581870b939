"""Deduplication: what stays depends on the documents alone; near means similar, not merely in one bucket."""

import random
import string
from pathlib import Path

import numpy
import pytest
from datatrove.data import Document
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.arrays import write_array
from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.dedup.bitmap_bound import COMPARE_ALL_BELOW
from pipeline.curation.dedup.near_duplicates import remove_near_duplicates
from pipeline.curation.dedup.shingles import jaccard
from pipeline.curation.recipes.steps.duplicates import MinHash
from pipeline.curation.text.documents import content_id, normalize, order, read_folder, read_rows, write_documents
from tests.curation.conftest import Curate
from tests.curation.recipe_files import hashes, recipe, write_lines, write_recipe

DEDUP = [{"step": "exact_dedup"}, {"step": "minhash", "minimum_jaccard": 0.75}]


def words(draw: random.Random, count: int) -> list[str]:
    return ["".join(draw.choices(string.ascii_lowercase, k=draw.randrange(3, 9))) for _ in range(count)]


def corpus() -> list[str]:
    """40 texts, of which 10 have an equal copy and 10 a copy with one word changed."""
    draw = random.Random(1)
    texts = [" ".join(words(draw, 150)) for _ in range(40)]
    changed = []
    for text in texts[:10]:
        parts = text.split()
        parts[draw.randrange(len(parts))] = "changed"
        changed.append(" ".join(parts))
    return [*texts, *(f"{text}  \r\n" for text in texts[10:20]), *changed]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_id_is_that_of_the_normalized_text(text: str) -> None:
    assert content_id(text) == content_id(normalize(text))
    assert content_id(f"{text}\r\n") == content_id(text)


@given(st.frozensets(st.integers(0, 20)), st.frozensets(st.integers(0, 20)))
def test_jaccard(one: frozenset[int], other: frozenset[int]) -> None:
    first, second = (numpy.array(sorted(each), numpy.uint64) for each in (one, other))
    value = jaccard(first, second)
    assert value == jaccard(second, first)
    assert 0.0 <= value <= 1.0
    assert (value == 1.0) == (one == other and bool(one))


def test_equal_and_near_copies_go_and_each_has_a_row(tmp_path: Path, run_curate: Curate) -> None:
    lines = write_lines(tmp_path / "lines.jsonl", corpus())
    write_recipe(tmp_path / "recipes", recipe(lines, DEDUP))
    output, result = run_curate(tmp_path / "recipes")
    assert result.counts == {"in": 60, "kept": 40, "removed": 20}
    rows = list(read_rows(output / "removed" / "technical" / "00000.jsonl.gz"))
    kept = {str(document.id): document for document in read_folder(output / "documents" / "technical")}
    assert [row["step"] for row in rows] == ["exact_dedup"] * 10 + ["minhash"] * 10
    stands_for = [row["duplicate_of"] for row in rows if row["step"] == "minhash"]
    for document_id, document in kept.items():
        assert document.metadata["minhash_cluster_size"] == 1 + stands_for.count(document_id)
    for row in rows:
        assert row["duplicate_of"] in kept
        if row["step"] == "minhash":
            assert row["value"] >= row["threshold"] == 0.75
    assert all(content_id(document.text) == document_id for document_id, document in kept.items())


@pytest.mark.parametrize(("seed", "tasks"), [(1, 1), (2, 3), (3, 5)])
def test_order_of_files_and_number_of_tasks_change_no_document(
    tmp_path: Path, run_curate: Curate, seed: int, tasks: int
) -> None:
    mixed = corpus()
    random.Random(seed).shuffle(mixed)
    found = []
    for name, texts, count in (("plain", corpus(), 2), ("mixed", mixed, tasks)):
        for index in range(3):
            write_lines(tmp_path / name / "in" / f"{index}.jsonl.gz", texts[index::3])
        write_recipe(tmp_path / name / "recipes", recipe(tmp_path / name / "in", DEDUP))
        output, _ = run_curate(tmp_path / name / "recipes", f"{name}-run", tasks=count)
        found.append([(each.id, each.text) for each in read_folder(output / "documents" / "technical")])
    assert found[0] == found[1]


def test_workers_change_no_byte(tmp_path: Path, run_curate: Curate) -> None:
    lines = write_lines(tmp_path / "lines.jsonl", corpus())
    write_recipe(tmp_path / "recipes", recipe(lines, DEDUP))
    alone, _ = run_curate(tmp_path / "recipes", "alone", tasks=1, workers=1)
    together, _ = run_curate(tmp_path / "recipes", "together", tasks=3, workers=2)
    assert hashes(alone) == hashes(together)


def test_among_many_pages_of_one_template_in_a_bucket_only_copies_go(tmp_path: Path) -> None:
    """Similarities within the template are some .6, those of copies .9; all are in one group, and in no other."""
    draw = random.Random(3)
    template = words(draw, 240)
    pages = [[*template, *words(draw, 60)] for _ in range(80)]
    copies = [[*page[:-8], *words(draw, 8)] for page in pages[60:]]
    texts = [" ".join(each) for each in [*pages, *copies]]
    metadata = {"source": "", "origin": ""}
    all_of_them = [Document(text=text, id=content_id(text), metadata=dict(metadata)) for text in texts]
    write_documents(tmp_path / "all", sorted(all_of_them, key=order))
    write_array(tmp_path / "groups" / "000.indices.npy", numpy.arange(len(texts)))
    write_array(tmp_path / "groups" / "000.sizes.npy", numpy.array([len(texts)]))
    audit, step = AuditLog(["minhash"]), MinHash(step="minhash")
    kept = list(
        remove_near_duplicates([tmp_path / "all"], len(texts), [], tmp_path / "groups", tmp_path / "work", step, audit)
    )
    assert {" ".join(document.text.split()[:-8]) for document in kept} == {" ".join(page[:-8]) for page in pages}
    assert len(kept) == len(pages) > 2 * COMPARE_ALL_BELOW
    assert audit.counts["minhash"].reasons == {"near_duplicate": len(copies)}
