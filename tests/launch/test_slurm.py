"""The batch scripts, on a real Slurm if there is one: `eval "$(tests/launch/slurm_ci.sh up)"` starts it."""

import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.core.artifact import Manifest, publish, read_manifest
from pipeline.core.files import read_json
from tests import ROOT
from tests.launch.slurm import needs_slurm
from tests.settings import stage_settings
from tests.wandb_records import sent_tokens

SETTINGS = [
    "scale=smoke",
    "model.vocab_size=1024",
    "model.layers=1",
    "stages.phase1.config.context=64",
    "stages.phase1.config.tokens=16384",
    "stages.phase1.config.sequences_per_step=16",
    "stages.phase1.config.sequences_per_rank=8",
    "stages.phase1.resources={nodes:2,processes_per_node:1,threads:1}",
]
STEP_TOKENS = 16 * 64
FINISHED = ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL")
DEADLINE_SECONDS = 300


def command(*arguments: str, folder: Path = ROOT) -> str:
    environment = {**os.environ, "FIVEPHASE_PYTHON": sys.executable, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        arguments, cwd=folder, env=environment, capture_output=True, text=True, timeout=DEADLINE_SECONDS
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def state_of(job: str) -> str:
    found = re.search(r"JobState=(\w+)", command("scontrol", "show", "job", job))
    assert found is not None
    return found.group(1)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.5)


def wait_for_first_steps(phase: Path, job: str) -> None:
    progress = phase / "attempts" / "1" / "progress.json"

    def training_or_over() -> bool:
        started = progress.exists() and read_json(progress)["done"] > 0
        return started or state_of(job) in FINISHED

    wait_for(training_or_over, "the first steps")


def states(jobs: dict[str, str]) -> dict[str, str]:
    """The final state of each stage's job."""
    wait_for(lambda: all(state_of(job) in FINISHED for job in jobs.values()), f"the end of {jobs}")
    return {stage: state_of(job) for stage, job in jobs.items()}


def submit(*overrides: str) -> dict[str, str]:
    """Stage to job id."""
    lines = command("launch/chain.sh", *overrides).splitlines()
    return {stage: job for job, stage in map(str.split, lines)}


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    """Overrides of a run whose curated documents are there already: standard-library text."""
    chosen = [*SETTINGS, f"root={tmp_path}", "run=chained"]
    command(sys.executable, "-m", "pipeline", "plan", "--freeze", "--format=tsv", "to=synthesize", *chosen)
    library = Path(sysconfig.get_paths()["stdlib"])
    sources = [path.read_text() for path in sorted(library.glob("*.py"))[:40]]
    texts = [source[start : start + 2000] for source in sources for start in range(0, len(source), 2000)]
    for stage, domains in (("curate", stage_settings("tokenize")["domains"]), ("synthesize", ())):
        directory = tmp_path / "chained" / stage
        metrics: dict[str, float] = {}
        for number, domain in enumerate(domains):
            documents = directory / "partial" / "documents" / domain
            documents.mkdir(parents=True)
            with gzip.open(documents / "00000.jsonl.gz", "wt") as file:
                own = texts[number :: len(domains)]
                metrics[f"{domain}/bytes"] = float(sum(len(text.encode()) for text in own))
                for text in own:
                    identity = hashlib.sha256(text.encode()).hexdigest()
                    file.write(json.dumps({"id": identity, "text": text, "metadata": {}}) + "\n")
        frozen = read_json(directory / "config.json")
        publish(
            directory,
            Manifest(
                stage=stage,
                kind=stage,
                fingerprint=frozen["fingerprint"],
                inputs=frozen["inputs"],
                files={},
                metrics=metrics,
            ),
        )
    return chosen


def test_a_dry_run_prints_the_commands_and_writes_nothing(tmp_path: Path) -> None:
    printed = command(
        "launch/chain.sh",
        "--dry-run",
        "--gpus",
        *SETTINGS,
        f"root={tmp_path}",
        "from=tokenizer",
        "to=phase1",
        "--",
        "--partition=big",
    )
    lines = printed.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("sbatch --parsable --job-name=smoke/") for line in lines)
    assert "--dependency" not in lines[0]
    assert "--dependency=afterok:id-of-tokenizer --kill-on-invalid-dep=yes" in lines[1]
    assert "--nodes=2 --ntasks-per-node=1" in lines[2]
    assert "--gpus-per-node=1" in lines[2]
    assert lines[2].rstrip().endswith(f"--partition=big {ROOT}/launch/stage.sbatch {tmp_path}/smoke/phase1")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [[], ["--config-dir", "conf"]])
def test_a_chain_is_that_of_the_working_directory(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "conf" / "scale").mkdir(parents=True)
    (tmp_path / "conf" / "scale" / "mine.yaml").write_text("# @package _global_\ndefaults: [smoke]\nscale: mine\n")
    chain = str(ROOT / "launch" / "chain.sh")
    printed = command(chain, "--dry-run", *options, "scale=mine", "to=curate", folder=tmp_path)
    assert printed.rstrip().endswith(f"{ROOT}/launch/stage.sbatch {tmp_path}/runs/mine/curate")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["scale=smok"], "no such choice, did you mean smoke"), (["--quick"], "--quick: unknown option")],
)
def test_a_wrong_argument_submits_nothing(arguments: list[str], message: str) -> None:
    environment = {**os.environ, "FIVEPHASE_PYTHON": sys.executable}
    done = subprocess.run(
        ["launch/chain.sh", "--dry-run", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""


@pytest.mark.slow
@pytest.mark.timeout(1200)
class TestOnSlurm:
    """A chain of real stages: tokenizer, tokenize, and phase 1 on two nodes."""

    pytestmark = needs_slurm

    def test_three_stages_one_on_two_nodes(self, settings: list[str], tmp_path: Path) -> None:
        jobs = submit(*settings, "from=tokenizer", "to=phase1")
        assert list(jobs) == ["tokenizer", "tokenize", "phase1"]
        assert set(states(jobs).values()) == {"COMPLETED"}
        manifest = read_manifest(tmp_path / "chained" / "phase1")
        assert manifest is not None
        assert (manifest.world_size, manifest.attempt) == (2, 1)
        assert (tmp_path / "chained" / "phase1" / "checkpoint" / "model.safetensors").exists()
        logs = tmp_path / "chained" / "phase1" / "attempts" / "1"
        assert {path.name for path in logs.glob("rank-*.log")} == {"rank-0.log", "rank-1.log"}
        assert (
            command("launch/chain.sh", "--dry-run", *settings, "from=phase1", "to=phase1").count("sbatch --parsable")
            == 1
        )

    def test_a_failure_cancels_what_depends_on_it(self, settings: list[str], tmp_path: Path) -> None:
        jobs = submit(*settings, "model.vocab_size=60000", "from=tokenizer", "to=phase1")
        assert states(jobs) == {"tokenizer": "FAILED", "tokenize": "CANCELLED", "phase1": "CANCELLED"}
        log = (tmp_path / "chained" / "tokenizer" / f"slurm-{jobs['tokenizer']}.log").read_text()
        assert "exit code 2" in log
        assert "set a smaller model.vocab_size" in log

    def test_a_signal_saves_requeues_and_resumes(self, settings: list[str], tmp_path: Path) -> None:
        longer = [*settings, "stages.phase1.config.tokens=80000", "stages.phase1.config.max_epochs=100"]
        jobs = submit(*longer, "from=tokenizer", "to=phase1")
        phase = tmp_path / "chained" / "phase1"
        wait_for_first_steps(phase, jobs["phase1"])
        command("scancel", "--batch", "--signal=USR1", jobs["phase1"])
        assert set(states(jobs).values()) == {"COMPLETED"}
        manifest = read_manifest(phase)
        assert manifest is not None
        assert manifest.attempt == 2
        log = (phase / f"slurm-{jobs['phase1']}.log").read_text()
        assert "attempt 1: exit code 75" in log
        assert "attempt 2: exit code 0" in log

    def test_preemption_saves_requeues_and_loses_no_metric(self, settings: list[str], tmp_path: Path) -> None:
        """Slurm signals every process of the job, also the one that Weights & Biases has started."""
        steps = 40
        changes = {"tokens": steps * STEP_TOKENS, "max_epochs": 1000, "log_every_steps": 2}
        longer = [*settings, *(f"stages.phase1.config.{key}={value}" for key, value in changes.items())]
        assert set(states(submit(*longer, "from=tokenizer", "to=tokenize")).values()) == {"COMPLETED"}
        jobs = submit(*longer, "from=phase1", "to=phase1", "--", "--partition=low")
        run = tmp_path / "chained"
        wait_for_first_steps(run / "phase1", jobs["phase1"])
        command("sbatch", "--partition=high", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 1")
        assert states(jobs) == {"phase1": "COMPLETED"}
        log = (run / "phase1" / f"slurm-{jobs['phase1']}.log").read_text()
        assert "attempt 1: exit code 75" in log
        assert "attempt 2: exit code 0" in log
        assert "Traceback" not in (run / "phase1" / "attempts" / "1" / "rank-0.log").read_text()
        assert sent_tokens(run, "phase1") >= {step * STEP_TOKENS for step in range(2, steps + 1, 2)}
