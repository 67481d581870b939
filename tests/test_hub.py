"""Models and data of the hub, over HTTP from a hub on this machine: `tests/hub.py`."""

import gzip
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from pipeline.core.artifact import read_manifest
from pipeline.core.errors import EXIT_DONE, EXIT_USER_ERROR
from pipeline.core.files import read_json
from tests import ROOT
from tests.foreign import write_foreign
from tests.hub import TOKEN, Hub

ABSENT = "0123456789abcdef0123456789abcdef01234567"
"""A commit that no repository has."""
SCALE = """# @package _global_
defaults: [smoke, /stage/import_model, _self_]
scale: hub
chain: [import_model, sft_data]
stages:
  sft_data:
    inputs: {tokenizer: import_model}
    config: {conversations: 0, preference_pairs: 0, preference_validation_pairs: 0}
"""
CURATION = """# @package _global_
defaults: [smoke, _self_]
scale: pages
chain: [curate]
stages:
  curate: {config: {recipes: recipes, domains: [pages], workers: 1}}
"""
RECIPE = """domain: pages
description: Pages of somebody
licence: CC0-1.0
languages: [en]
sources:
  - kind: huggingface
    dataset: somebody/pages
    revision: COMMIT
    shards: 2
    columns: {address: url}
    disclosure:
      name: pages
      url: https://huggingface.co/datasets/somebody/pages
      date_obtained: "2026-01-01"
      description: Pages of somebody
      languages: [en]
      type: text
      source: authors of pages
      data_provenance: a hub
      user_data: "no"
      synthetic: "no"
steps: []
"""
REFUSED = """
import json, sys
from pipeline.core.errors import UserError
from pipeline.curation.readers.hub import read_part
from pipeline.curation.readers.sources import HuggingFaceSource
from pipeline.model_import.source import fetch
from pipeline.posttraining.common.data_files import DataFile, PromptFile

def lines(kind, name, revision):
    if kind == "models":
        fetch(name, revision)
    elif kind == "conversations":
        list(DataFile(dataset=name, revision=revision).read(dict, []))
    elif kind == "prompts":
        list(PromptFile(dataset=name, revision=revision).read(dict, []))
    else:
        list(read_part(HuggingFaceSource(kind="huggingface", dataset=name, revision=revision, disclosure=None), 0))

for case in json.loads(sys.argv[1]):
    try:
        lines(*case)
        print("read")
    except UserError as error:
        print(error)
"""
"""Asks for each of the cases that it is given, and says in a line what came of it."""


def rows(*values: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in values)


CONVERSATIONS = rows(
    *(
        {"messages": [{"role": "user", "content": f"What is {number} and {number} more, in all?"},
                      {"role": "assistant", "content": f"Both of them together are {2 * number}, in all."}]}
        for number in range(11, 41)
    )
)  # fmt: skip
PROMPTS = rows(*({"prompt": f"What is {n} plus {n}?", "answer": 2 * n, "verifier": "number"} for n in range(11, 61)))


def table(first: int, count: int) -> bytes:
    """A Parquet file with pages."""
    file = io.BytesIO()
    numbers = range(first, first + count)
    texts = [f"Page {number}. " + f"A sentence of page {number} that is not short. " * 9 for number in numbers]
    addresses = [f"https://example.org/{number}" for number in numbers]
    parquet.write_table(pyarrow.table({"text": texts, "address": addresses}), file)
    return file.getvalue()


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


def fivephase(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )


def project(folder: Path, name: str, scale: str) -> Path:
    (folder / "conf" / "scale").mkdir(parents=True, exist_ok=True)
    (folder / "conf" / "scale" / f"{name}.yaml").write_text(scale)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_model_and_conversations_of_the_hub(hub: Hub, tmp_path: Path) -> None:
    """Weights and text are taken at their commits, no pickle and no code; both are recorded; afterwards no hub is
    needed for what is done."""
    folder = project(tmp_path / "a project", "hub", SCALE)
    source = write_foreign(tmp_path / "model")
    (source / "pytorch_model.bin").write_bytes(b"a pickle")
    (source / "modeling_tiny.py").write_text("raise SystemExit('this code was run')")
    model = hub.add("somebody/tiny", source)
    talk = hub.add("somebody/talk", {"data/train.jsonl": CONVERSATIONS}, "datasets")
    environment = hub.environment(tmp_path / "home")
    settings = [
        "scale=hub", "tracking=off",
        "stages.import_model.config.path=somebody/tiny", f"stages.import_model.config.revision={model.commit}",
        f"stages.sft_data.config.files=[{{dataset: somebody/talk, revision: {talk.commit}}}]",
    ]  # fmt: skip
    planned = fivephase(folder, environment, "plan", *settings)
    assert planned.returncode == EXIT_DONE, planned.stderr
    assert f"import_model fetches from the hub what is not on this machine: somebody/tiny at {model.commit[:12]}" in (
        " ".join(planned.stdout.split())
    )
    done = fivephase(folder, environment, "run", *settings)
    assert done.returncode == EXIT_DONE, done.stderr
    facts = read_json(folder / "runs/hub/import_model/imported.json")
    assert (facts["source"], facts["revision"]) == ("somebody/tiny", model.commit)
    data = read_manifest(folder / "runs/hub/sft_data")
    assert data is not None
    assert talk.commit in (folder / "runs/hub/sft_data/config.json").read_text()
    asked = {path for _, path in hub.asked}
    assert "/large/models/somebody/tiny/model.safetensors" in asked
    assert not [path for path in asked if path.endswith((".bin", ".py")) and "tiny/resolve" in path]
    before = len(hub.asked)
    offline = {**environment, "HF_HUB_OFFLINE": "1"}
    again = fivephase(folder, offline, "run", *settings)
    assert again.returncode == EXIT_DONE, again.stderr
    assert "nothing to do" in again.stdout
    assert len(hub.asked) == before


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_prompts_of_the_hub(hub: Hub, tmp_path: Path) -> None:
    """`plan` reads them, counts them, and holds each against its verifier before anything is spent."""
    prompts = hub.add("somebody/sums", {"train.jsonl.gz": gzip.compress(PROMPTS)}, "datasets")
    wrong = {"prompt": "What is 1 plus 1?", "answer": "none", "verifier": "number"}
    bad = hub.add("somebody/wrong", {"train.jsonl": PROMPTS + rows(wrong)}, "datasets")
    settings = [
        "--config-dir", str(ROOT / "examples"), "scale=rl_only", "tracking=off",
        f"stages.import_model.config.path='{write_foreign(tmp_path / 'model')}'",
    ]  # fmt: skip
    environment = hub.environment(tmp_path / "home")
    of = "stages.rl_math.config.prompt_files=[{{dataset: somebody/{}, revision: {}}}]"
    planned = fivephase(tmp_path, environment, "plan", *settings, of.format("sums", prompts.commit))
    assert planned.returncode == EXIT_DONE, planned.stderr
    refused = fivephase(tmp_path, environment, "plan", *settings, of.format("wrong", bad.commit))
    assert refused.returncode == EXIT_USER_ERROR
    assert "somebody/wrong: row 51: " in refused.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_recipe_of_the_hub(hub: Hub, tmp_path: Path) -> None:
    """Every file of the data set is read once, in parts, and its columns are what the recipe calls them."""
    folder = project(tmp_path / "a project", "pages", CURATION)
    files = {f"data/train-0000{part}-of-00002.parquet": table(20 * part, 20) for part in (0, 1)}
    pages = hub.add("somebody/pages", files, "datasets")
    (folder / "recipes").mkdir()
    (folder / "recipes" / "pages.yaml").write_text(RECIPE.replace("COMMIT", pages.commit))
    done = fivephase(folder, hub.environment(tmp_path / "home"), "run", "scale=pages", "tracking=off")
    assert done.returncode == EXIT_DONE, done.stderr
    found = sorted((folder / "runs/pages/curate/documents/pages").glob("*.jsonl.gz"))
    documents = [json.loads(line) for path in found for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert sorted(each["metadata"]["url"] for each in documents) == sorted(
        f"https://example.org/{number}" for number in range(40)
    )
    assert all(each["text"].startswith("Page ") for each in documents)
    assert {path for _, path in hub.asked if path.startswith("/large/")} == {
        f"/large/datasets/somebody/pages/{name}" for name in files
    }


def refusals(environment: dict[str, str], *cases: tuple[str, str, str]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", REFUSED, json.dumps(cases)],
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=280,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(cases), done.stderr
    return lines


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(600)
def test_what_the_hub_refuses_is_a_line_with_a_remedy(hub: Hub, tmp_path: Path) -> None:
    kinds = {"models": "models", "conversations": "datasets", "prompts": "datasets", "recipe": "datasets"}
    small = {"config.json": b"{}", "train.jsonl": PROMPTS}
    commits = {}
    for kind in ("models", "datasets"):
        commits[kind] = hub.add("somebody/open", small, kind).commit
        hub.add("somebody/gated", small, kind, gated=True)
        hub.add("somebody/waiting", small, kind, gated=True, admits=False)
    environment = hub.environment(tmp_path / "home")
    for kind, of in kinds.items():
        page = f"{hub.url}/{'datasets/' if of == 'datasets' else ''}somebody"
        absent, revision, gated = refusals(
            environment, (kind, "somebody/absent", ABSENT), (kind, "somebody/open", ABSENT),
            (kind, "somebody/gated", commits[of]),
        )  # fmt: skip
        assert "somebody/absent" in absent
        assert "the hub shows no such repository to this machine; correct the name, or, if it is private" in absent
        assert f"the hub has no revision {ABSENT} of it; set revision to a commit" in revision
        assert f"accept them on {page}/gated, then log in to an account that may read it (`hf auth login`" in gated
        opened, waiting = refusals(
            {**environment, "HF_TOKEN": TOKEN},
            (kind, "somebody/gated", commits[of]), (kind, "somebody/waiting", commits[of]),
        )  # fmt: skip
        assert f"its owner has not let this account in yet; ask for access on {page}/waiting" in waiting
        assert "cannot be" not in opened  # a model of two files is found wanting later, by what it lacks
        (offline,) = refusals({**environment, "HF_HUB_OFFLINE": "1"}, (kind, "somebody/other", ABSENT))
        assert "not in this machine's cache, and HF_HUB_OFFLINE is set; set HF_HUB_OFFLINE=0 to download it" in offline


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(600)
def test_a_hub_that_does_not_answer_is_a_line_with_a_remedy(tmp_path: Path) -> None:
    with Hub() as hub:
        environment = hub.environment(tmp_path / "home")
    cases = [(kind, "somebody/tiny", ABSENT) for kind in ("models", "conversations", "prompts", "recipe")]
    for line in refusals(environment, *cases):
        assert f"{hub.url} does not answer; check HF_ENDPOINT, or try again later; or set" in line


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_command_says_it_in_one_line(hub: Hub, tmp_path: Path) -> None:
    folder = project(tmp_path / "a project", "hub", SCALE)
    settings = [
        "scale=hub", "tracking=off", "to=import_model", "stages.sft_data.config.conversations=8",
        "stages.import_model.config.path=somebody/absent", f"stages.import_model.config.revision={ABSENT}",
    ]  # fmt: skip
    ended = fivephase(folder, hub.environment(tmp_path / "home"), "run", *settings)
    assert ended.returncode == EXIT_USER_ERROR
    last = ended.stderr.splitlines()[-1]
    assert (
        "stages.import_model.config.path=somebody/absent at 0123456789ab: cannot be downloaded: the hub shows no"
        in last
    )
    assert "Traceback" not in ended.stderr
