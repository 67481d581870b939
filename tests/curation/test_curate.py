"""The stage on small sources: counts that add up, hostile input, and what a kill leaves."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import pytest

from pipeline.core.files import read_json
from pipeline.curation import curate
from pipeline.curation.audit.web_domains import WEB_DOMAINS
from pipeline.curation.tasks.workspace import DomainWorkspace
from pipeline.curation.text.documents import content_id, read_folder, read_rows
from tests import ROOT
from tests.curation.conftest import Curate
from tests.curation.interrupted import kill_when_stopped
from tests.curation.recipe_files import DISCLOSURE, hashes, recipe, write_lines, write_recipe
from tests.processes import survivors
from tests.settings import stage_config

PROSE = "The cat sat on the mat, and the dog lay by the door with a bone that it would not give to anyone. " * 3
FILTERS: list[dict[str, Any]] = [
    {"step": "length", "minimum_characters": 20},
    {"step": "language", "keep": ["en"], "minimum_score": 0.3},
    {"step": "gopher_quality", "minimum_words": 5},
    {"step": "exact_dedup"},
]


def test_in_is_kept_and_removed_at_every_step(tmp_path: Path, run_curate: Curate) -> None:
    draw = random.Random(0)
    good = [f"{PROSE} Number {index} is here with the rest of them." for index in range(5)]
    texts = [
        *good,
        good[0],
        "short",
        "Das ist ein deutscher Satz, der hier nicht bleiben soll.",
        "a\0b" * 20,
        "",
        "# " * 60,
    ]
    draw.shuffle(texts)
    lines = write_lines(tmp_path / "lines.jsonl", texts)
    write_recipe(tmp_path / "recipes", recipe(lines, FILTERS))
    output, result = run_curate(tmp_path / "recipes", bad=0.1)
    assert result.counts == {"in": 11, "kept": 5, "removed": 6}
    funnel = read_json(output / "report.json")["technical"]["steps"]
    assert [step["step"] for step in funnel] == [
        "read",
        "length",
        "language",
        "gopher_quality",
        "exact_dedup",
    ]
    for step in funnel:
        assert step["in"] == step["kept"] + step["removed"]
        assert sum(step["reasons"].values()) == step["removed"]
    rows = {row["reason"]: row for row in read_rows(output / "removed" / "technical" / "00000.jsonl.gz")}
    assert {"nul_character", "empty", "too_short", "language_de", "same_content"} <= set(rows)
    assert (rows["too_short"]["value"], rows["too_short"]["threshold"]) == (5, 20)
    assert len(list(read_folder(output / "documents" / "technical"))) == 5


def test_pages_come_from_a_warc_and_what_is_no_page_has_a_row(tmp_path: Path, run_curate: Curate) -> None:
    from pipeline.curation.readers.embedded import EmbeddedText
    from pipeline.curation.readers.warc import write_warc

    body = "".join(f"<p>{PROSE} This is paragraph {number}.</p>" for number in range(4))
    pages = [
        EmbeddedText("good", f"<html><body><article><h1>Title</h1>{body}</article></body></html>"),
        EmbeddedText("nothing", "<html><body></body></html>"),
    ]
    (tmp_path / "in").mkdir()
    write_warc(tmp_path / "in" / "pages.warc.gz", pages)
    sources = [{"kind": "warc", "path": str(tmp_path / "in"), "disclosure": DISCLOSURE}]
    steps: list[dict[str, Any]] = [{"step": "trafilatura"}, {"step": "exact_dedup"}]
    write_recipe(tmp_path / "recipes", recipe(tmp_path, steps, "common_crawl", sources=sources))
    output, result = run_curate(tmp_path / "recipes")
    assert result.counts == {"in": 2, "kept": 1, "removed": 1}
    assert PROSE.strip() in next(read_folder(output / "documents" / "common_crawl")).text
    (row,) = read_rows(output / "removed" / "common_crawl" / "00000.jsonl.gz")
    assert (row["step"], row["reason"]) == ("trafilatura", "no_text")


def test_what_has_nothing_to_remove_comes_out_as_it_is(tmp_path: Path, run_curate: Curate) -> None:
    # C4 takes out blank and short lines.
    pages = ["\n".join(line.strip() for line in text.splitlines() if len(line.split()) > 3) for text in topics.values()]
    texts = [page for page in pages if len(page.split()) > 80]
    steps: list[dict[str, Any]] = [
        {"step": "repair_encoding"}, {"step": "language", "keep": ["en"], "minimum_score": 0.3},
        {"step": "gopher_repetition"}, {"step": "gopher_quality", "minimum_alphabetic_words": 0.5},
        {"step": "c4", "curly_bracket": False, "terminal_punctuation": False},
        {"step": "fineweb_quality", "minimum_punctuated_lines": 0.05}, {"step": "refinedweb_lines"},
        {"step": "readability"}, {"step": "pii"}, {"step": "secrets"},
        {"step": "exact_dedup"}, {"step": "minhash"}, {"step": "substring_dedup", "minimum_units": 30},
    ]  # fmt: skip
    write_recipe(tmp_path / "recipes", recipe(write_lines(tmp_path / "in.jsonl", texts), steps))
    first, _ = run_curate(tmp_path / "recipes", "first")
    unedited = {text: content_id(text) for text in texts}
    clean = [each for each in read_folder(first / "documents" / "technical") if each.text in unedited]
    assert len(clean) > 5
    again = write_lines(tmp_path / "again.jsonl", [each.text for each in clean])
    write_recipe(tmp_path / "recipes", recipe(again, steps))
    second, result = run_curate(tmp_path / "recipes", "second")
    assert result.counts == {"in": len(clean), "kept": len(clean), "removed": 0}
    assert [each.text for each in read_folder(second / "documents" / "technical")] == [each.text for each in clean]
    for step in read_json(second / "report.json")["technical"]["steps"]:
        assert step["in"] == step["kept"] == len(clean)
        assert step["edited"] == 0
        assert step["characters_in"] == step["characters_kept"]


PROGRAM = """
import sys
from pathlib import Path

from pipeline.core.artifact import remove_temporaries
from pipeline.core.context import StageContext
from pipeline.curation import curate
from tests.curation.interrupted import stop_at_rename, wait_to_be_killed
from tests.settings import stage_config

recipes, folder, step, moment, marker = sys.argv[1:]


class Interrupted:
    \"""A task that stops before any of its files has its name, or when all have and it does not count as done.\"""

    def __init__(self, task):
        self.task = task

    def __call__(self, progress):
        if moment == "before":
            stop_at_rename(lambda path: True, Path(marker))
        self.task(progress)
        wait_to_be_killed(Path(marker))


def plan(*arguments):
    return [
        (label, [*tasks[:-1], Interrupted(tasks[-1])] if label == step else tasks)
        for label, tasks in original(*arguments)
    ]


if __name__ == "__main__":
    original, curate.plan = curate.plan, plan
    config = stage_config("curate", recipes=recipes, tasks=4, workers=2)
    context = StageContext.for_test("curate", config, {}, Path(folder))
    remove_temporaries(context.output)  # as a worker does before it runs a stage
    curate.run(context)
"""


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(1200)
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("moment", ["before", "after"])
def test_killed_in_each_step_and_run_again_gives_the_same_bytes(tmp_path: Path, moment: str) -> None:
    """Kills a stage in its last task of one step, the next one in that of the next step, and so on."""
    draw = random.Random(2)
    vocabulary = PROSE.split()
    texts = [" ".join(draw.choices(vocabulary, k=300)) for _ in range(600)]
    for index in range(4):
        write_lines(tmp_path / "in" / f"{index}.jsonl", texts[index::4])
    steps = [*FILTERS[:2], {"step": "c4", "minimum_sentences": 1}, *FILTERS[2:], {"step": "minhash"},
             {"step": "substring_dedup", "minimum_units": 8, "buckets": 2}]  # fmt: skip
    write_recipe(tmp_path / "recipes", recipe(tmp_path / "in", steps))
    (tmp_path / "program.py").write_text(PROGRAM)

    def start(name: str, step: str = "") -> "subprocess.Popen[bytes]":
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
            "CURATE_TEST": str(tmp_path),
        }
        command = [sys.executable, *map(str, (tmp_path / "program.py", tmp_path / "recipes", tmp_path / name))]
        command += [step, moment, str(tmp_path / "stopped")]
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    assert start("whole").wait() == 0
    config = stage_config("curate", recipes=str(tmp_path / "recipes"), tasks=4)
    workspaces = [DomainWorkspace(tmp_path / "none", each, config.tasks) for each in config.load()]
    labels = [label for label, tasks in curate.plan(workspaces, config, tmp_path / "none") if tasks]
    assert len(labels) == 8, "all but the high-quality subset, which has a test of its own"
    for label in labels:
        kill_when_stopped(start("killed", label), tmp_path / "stopped")
        # The worker that waits to be killed is killed with the stage.
        assert not survivors(f"CURATE_TEST={tmp_path}")
    assert start("killed").wait() == 0
    assert hashes(tmp_path / "killed" / "partial") == hashes(tmp_path / "whole" / "partial")


def test_the_high_quality_subset_is_the_best_share(tmp_path: Path, run_curate: Curate) -> None:
    draw = random.Random(3)
    formal = ["theorem", "proof", "lemma", "follows", "integral", "converges", "bounded", "sequence"]
    casual = ["click", "cheap", "offer", "buy", "now", "sale", "winner", "free"]
    exact: list[dict[str, Any]] = [{"step": "exact_dedup"}]
    for domain, vocabularies in (("books", [formal]), ("common_crawl", [formal, casual])):
        texts = [" ".join(draw.choices(words, k=40)) for words in vocabularies for _ in range(30)]
        lines = write_lines(tmp_path / f"{domain}.jsonl", texts)
        write_recipe(tmp_path / "recipes", recipe(lines, exact, domain))
    sources = [{"kind": "domain", "domain": "common_crawl", "disclosure": DISCLOSURE}]
    classifier = {"step": "quality_classifier", "positives": ["books"], "keep_share": 0.5, "hash_bits": 12}
    write_recipe(tmp_path / "recipes", recipe(tmp_path, [classifier], "common_crawl_hq", sources=sources))
    output, _ = run_curate(tmp_path / "recipes")
    kept = list(read_folder(output / "documents" / "common_crawl_hq"))
    rows = list(read_rows(output / "removed" / "common_crawl_hq" / "00000.jsonl.gz"))
    assert len(kept) == len(rows) == 30
    assert all(set(document.text.split()) <= set(formal) for document in kept)
    assert all(row["value"] <= row["threshold"] for row in rows)


def test_web_domains_are_counted_where_documents_have_an_address(tmp_path: Path, run_curate: Curate) -> None:
    pages = [
        {"text": f"{PROSE} {number}", "url": url}
        for number, url in enumerate(("https://a.example.org/x", "https://example.org", "http://pydoc.invalid/json"))
    ]
    lines = tmp_path / "pages.jsonl"
    lines.write_text("".join(json.dumps(page) + "\n" for page in [*pages, {"text": f"{PROSE} no address"}]))
    write_recipe(tmp_path / "recipes", recipe(lines, [{"step": "exact_dedup"}]))
    output, _ = run_curate(tmp_path / "recipes")
    rows = list(read_rows(output / WEB_DOMAINS))
    assert [(row["source"], row["domain"], row["documents"]) for row in rows] == [
        ("lines", "", 1),
        ("lines", "example.org", 2),
    ]
    assert rows[1]["bytes"] == sum(len(page["text"]) for page in pages[:2])
