"""Every file of `examples/`, and the folder of `fivephase init`, run as they stand but for their size."""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.core.artifact import read_manifest
from pipeline.core.errors import EXIT_DONE, EXIT_USER_ERROR
from pipeline.core.installation import command_name
from tests import ROOT
from tests.posttraining.tiny import write_model

EXAMPLES = sorted(path.stem for path in (ROOT / "examples" / "scale").glob("*.yaml"))
MODEL = ["model.layers=1", "model.vocab_size=1024", "stages.tokenize.config.validation_share=0.2"]
PHASE = [
    "stages.phase1.config.tokens=8_192",
    "stages.phase1.config.max_epochs=100",
    "stages.phase1.config.learning_rate.warmup_tokens=1_024",
]
SFT = [
    "stages.sft.config.epochs=1",
    "stages.sft.config.max_length=256",
    "stages.sft.config.max_completion_length=8",
    "stages.sft.config.probe={prompts_per_domain: 1, samples_per_prompt: 1}",
]
RL = [
    "stages.rl_math.config.prompts=4",
    "stages.rl_math.config.prompts_per_step=4",
    "stages.rl_math.config.samples_per_prompt=2",
    "stages.rl_math.config.completions_per_device=8",
    "stages.rl_math.config.max_completion_length=8",
    "stages.rl_math.config.probe={prompts_per_domain: 1, samples_per_prompt: 1}",
]
ACCURACY = "stages.evaluate_sft.config.accuracy"
TINY = {
    "curation_only": ["stages.curate.config.domains=[code]"],
    "web_only": [*MODEL, *PHASE],
    "code_only": [*MODEL, *PHASE],
    "sft_only": SFT,
    "rl_only": RL,
    "evaluation_only": [f"{ACCURACY}.problems_per_environment=1", f"{ACCURACY}.maximum_new_tokens=4"],
}
"""What makes each example small."""


def fivephase(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )


def small_recipes(folder: Path) -> None:
    """The recipes that the examples read, with few documents of each source."""
    for name in ("code", "common_crawl", "technical", "books"):
        text = (ROOT / "data_recipes" / "smoke" / f"{name}.yaml").read_text()
        text = re.sub(r"limit: \d+", "limit: 40", re.sub(r"max_bytes: [\d_]+", "max_bytes: 200_000", text))
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.yaml").write_text(text)


def test_init_writes_into_an_empty_folder_alone(tmp_path: Path) -> None:
    folder = tmp_path / "my project"
    folder.mkdir()
    made = fivephase(tmp_path, "init", "my project")
    assert made.returncode == EXIT_DONE, made.stderr
    assert made.stdout.splitlines()[-1] == f"now type: cd 'my project' && {command_name(folder)} run scale=mine"
    written = sorted(path for path in folder.rglob("*") if path.is_file())
    assert {"README.md", "mine.yaml", "conversations.jsonl", "my_environment.py"} <= {path.name for path in written}
    again = fivephase(tmp_path, "init", "my project")
    assert again.returncode == EXIT_USER_ERROR
    assert again.stderr == (
        "fivephase: my project: is not an empty folder, and nothing is overwritten; name a new one\n"
    )
    assert fivephase(folder, "plan", "scale=mine").returncode == EXIT_DONE


def test_the_minimal_scale_of_the_page_is_a_scale(tmp_path: Path) -> None:
    """What docs/how_to/own_configuration.md starts from."""
    page = (ROOT / "docs" / "how_to" / "own_configuration.md").read_text()
    scale, model = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(scale.splitlines()) == 25
    for group, text in (("scale", scale), ("model", model)):
        (tmp_path / "conf" / group).mkdir(parents=True)
        (tmp_path / "conf" / group / "mine.yaml").write_text(text)
    planned = fivephase(tmp_path, "plan", "scale=mine")
    assert planned.returncode == EXIT_DONE, planned.stderr
    assert [line.split()[0] for line in planned.stdout.splitlines()[2:8]] == [
        "curate", "tokenizer", "tokenize", "phase1", "sft_data", "sft",
    ]  # fmt: skip


def test_each_example_is_run() -> None:
    assert sorted(TINY) == EXAMPLES


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_examples_and_the_folder_of_init_run(tmp_path: Path) -> None:
    clone = tmp_path / "a clone"
    clone.mkdir()
    # As in a checkout: the working directory has examples/ and what their files name.
    shutil.copytree(ROOT / "examples", clone / "examples")
    shutil.copytree(ROOT / "pipeline" / "starter", clone / "pipeline" / "starter")
    small_recipes(clone / "recipes")
    write_model(clone / "model")
    fivephase(tmp_path, "init", "mine")

    def example(name: str) -> subprocess.CompletedProcess[str]:
        source = ["stages.import_model.config.path=model/checkpoint"]
        if name in ("curation_only", "web_only", "code_only"):
            source = ["stages.curate.config.recipes=recipes", "stages.curate.config.workers=1"]
        common = ["--config-dir", "examples", f"scale={name}", "tracking=off", *source]
        return fivephase(clone, "run", *common, *TINY[name])

    def own() -> subprocess.CompletedProcess[str]:
        small = ["stages.sft_data.config.conversations=40", "stages.curate.config.workers=1", "tracking=off"]
        return fivephase(tmp_path / "mine", "run", "scale=mine", *small, *MODEL, *PHASE, *SFT, *RL)

    names = ["mine", *reversed(EXAMPLES)]  # the longest first, two at a time
    with ThreadPoolExecutor(2) as pool:
        done = dict(zip(names, pool.map(lambda name: own() if name == "mine" else example(name), names), strict=True))
    failed = {name: each.stderr for name, each in done.items() if each.returncode != EXIT_DONE}
    assert not failed
    last = {"curation_only": "curate", "web_only": "phase1", "code_only": "phase1", "sft_only": "sft",
            "rl_only": "rl_math", "evaluation_only": "evaluate_sft"}  # fmt: skip
    for name, stage in last.items():
        assert read_manifest(clone / "runs" / name / stage) is not None
    assert "chat run=sft_only" in done["sft_only"].stdout
    assert "chat run=mine" in done["mine"].stdout
    rewarded = read_manifest(tmp_path / "mine" / "runs" / "mine" / "rl_math")
    assert rewarded is not None
    assert any("my_environment" in metric for metric in rewarded.metrics)
