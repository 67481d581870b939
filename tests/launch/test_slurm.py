"""The batch scripts, on a real Slurm if there is one: `eval "$(tests/launch/slurm_ci.sh up)"` starts it."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from shutil import which

import pytest

from pipeline.control.slurm_cluster import check_cluster, queued_jobs
from pipeline.control.slurm_jobs import sbatch_options, stage_job
from pipeline.core.artifact import read_manifest
from pipeline.core.errors import ConfigError
from pipeline.core.files import read_json, write_json
from tests import ROOT
from tests.launch.slurm import needs_slurm
from tests.processes import running
from tests.runs import frozen_stage, publish_documents
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
RESOURCES = {"nodes": 1, "processes_per_node": 1, "threads": 1, "time": "1:00:00"}
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


def refused(*arguments: str, **variables: str) -> str:
    """The line that says why nothing was submitted."""
    environment = {**os.environ, "FIVEPHASE_PYTHON": sys.executable, **variables}
    done = subprocess.run(
        ["launch/chain.sh", *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=DEADLINE_SECONDS,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr.splitlines()[-1]


def test_a_checkout_without_its_environment_says_what_to_type() -> None:
    assert refused("--dry-run", "scale=smoke", FIVEPHASE_PYTHON="/nothing/python") == (
        f"fivephase is not installed yet: type make setup in {ROOT}"
    )


def queue() -> list[str]:
    """Names of the jobs that wait or run."""
    return command("squeue", "--noheader", "--states=pending,running", "--format=%j").split()


def submit(*overrides: str) -> dict[str, str]:
    """Stage to job id."""
    lines = command("launch/chain.sh", *overrides).splitlines()
    return {stage: job for job, stage in map(str.split, lines)}


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    """Overrides of a run whose curated documents are there already: standard-library text."""
    chosen = [*SETTINGS, f"root={tmp_path}", "run=chained"]
    publish_documents(tmp_path / "chained", chosen)
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
    # For a shell: the checkout's folder may have a space in its name.
    assert shlex.split(lines[2])[-3:] == ["--partition=big", f"{ROOT}/launch/stage.sbatch", f"{tmp_path}/smoke/phase1"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [[], ["--config-dir", "conf"]])
def test_a_chain_is_that_of_the_working_directory(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "conf" / "scale").mkdir(parents=True)
    (tmp_path / "conf" / "scale" / "mine.yaml").write_text("# @package _global_\ndefaults: [smoke]\nscale: mine\n")
    chain = str(ROOT / "launch" / "chain.sh")
    printed = command(chain, "--dry-run", *options, "scale=mine", "to=curate", folder=tmp_path)
    assert shlex.split(printed)[-2:] == [f"{ROOT}/launch/stage.sbatch", f"{tmp_path}/runs/mine/curate"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scale=smok"], "no such choice, did you mean smoke"),
        (["--quick"], "--quick: unknown option"),
        (["--", "--nodes=4"], "--nodes=4: the ranks of a stage would not know of it; set stages.<stage>.resources"),
        (["--", "-n", "4"], "--ntasks=4: "),
        (["resources.pretraining.time=soon"], "stages.phase1.resources.time=soon: no time, write HH:MM:SS"),
        (["resources.pretraining.nodes=3"], "stages.phase1.config.sequences_per_step=4 is no multiple"),
    ],
)
def test_a_wrong_argument_submits_nothing(arguments: list[str], message: str) -> None:
    assert message in refused("--dry-run", *arguments)


def test_the_signal_comes_as_early_as_was_measured(tmp_path: Path) -> None:
    """60 s and twice the longest step and save. A tokenizer cannot save, and is told nothing."""
    write_json(
        tmp_path / "smoke" / "phase1" / "attempts" / "1" / "progress.json",
        {"longest_step_seconds": 100, "longest_save_seconds": 200},
    )
    printed = command("launch/chain.sh", "--dry-run", *SETTINGS, f"root={tmp_path}", "from=tokenizer", "to=phase1")
    assert re.findall(r"--signal=\S+", printed) == ["--signal=B:USR1@600", "--signal=B:USR1@660"]
    assert re.search(r"--job-name=smoke/tokenizer (?!.*--signal).*\n", printed)
    assert "set 22 minutes or more" in refused(
        "--dry-run", *SETTINGS, f"root={tmp_path}", "from=phase1", "to=phase1", "--", "--time=20"
    )


@pytest.mark.parametrize(
    ("options", "signals"),
    [
        (["--time=20", "--signal=B:USR1@300"], ["--signal=B:USR1@300"]),
        (["--time=0"], ["--signal=B:USR1@660"]),
    ],
)
def test_a_signal_that_was_given_wins_and_no_time_limit_is_none(
    tmp_path: Path, options: list[str], signals: list[str]
) -> None:
    write_json(
        tmp_path / "smoke" / "phase1" / "attempts" / "1" / "progress.json",
        {"longest_step_seconds": 100, "longest_save_seconds": 200},
    )
    part = [*SETTINGS, f"root={tmp_path}", "from=phase1", "to=phase1"]
    printed = command("launch/chain.sh", "--dry-run", *part, "--", *options)
    assert re.findall(r"--signal=\S+", printed) == signals


@pytest.mark.skipif(which("sbatch") is None, reason="no commands of Slurm")
@pytest.mark.parametrize("options", [[], ["--", "--partition=gpu"]])
def test_a_controller_that_does_not_answer_is_named(tmp_path: Path, options: list[str]) -> None:
    """It is neither an empty queue nor a cluster without partitions."""
    nobody = tmp_path / "slurm.conf"
    nobody.write_text(
        "ClusterName=none\nSlurmctldHost=nowhere(127.0.0.1)\nSlurmctldPort=1\nMessageTimeout=2\nSlurmUser=root\n"
        "AuthType=auth/none\nCredType=cred/none\n"
    )
    said = refused(*SETTINGS, f"root={tmp_path}", "to=curate", *options, SLURM_CONF=str(nobody))
    assert said == (
        "fivephase: squeue: failed (slurm_load_jobs error: Unable to contact slurm controller (connect failure)); "
        "try again once it answers, nothing was submitted"
    )
    assert not (tmp_path / "smoke").exists()


def test_a_hidden_partition_is_one_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sinfo` and `squeue` leave out what is in hidden partitions unless they are asked for all of it."""
    for name, line in (
        ("sinfo", "hidden|1:00:00|1-infinite|2"),
        ("squeue", f"41|stage.sbatch {tmp_path}/smoke/curate"),
    ):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\ncase " $* " in *" --all "*) echo "{line}";; esac\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    options = sbatch_options(["--partition=hidden", "--time=30"])
    stage = frozen_stage("curate", "0" * 64, run="smoke", kind="curate", resources=RESOURCES)
    job = stage_job(stage, str(tmp_path), options, gpus=False)
    check_cluster([job], options)
    with pytest.raises(ConfigError, match="gives a job 1 hours at most"):
        check_cluster([job], sbatch_options(["--partition=hidden", "--time=61"]))
    assert queued_jobs([job]) == {"41": f"{tmp_path}/smoke/curate"}


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
        # A run under another name is as finished as it was.
        (tmp_path / "chained").rename(tmp_path / "renamed")
        again = command("launch/chain.sh", *settings, "run=renamed", "from=tokenizer", "to=phase1")
        assert again == "nothing to do: all 3 stages are done with this configuration\n"

    def test_a_failure_cancels_what_depends_on_it(self, settings: list[str], tmp_path: Path) -> None:
        jobs = submit(*settings, "model.vocab_size=60000", "from=tokenizer", "to=phase1")
        assert states(jobs) == {"tokenizer": "FAILED", "tokenize": "CANCELLED", "phase1": "CANCELLED"}
        log = (tmp_path / "chained" / "tokenizer" / f"slurm-{jobs['tokenizer']}.log").read_text()
        assert "exit code 2" in log
        assert "set a smaller model.vocab_size" in log

    def test_what_the_cluster_has_not_is_refused_before_anything(self, settings: list[str], tmp_path: Path) -> None:
        part = [*settings, "from=tokenizer", "to=phase1"]
        few = "stages.phase1.resources={nodes:3,processes_per_node:1}"
        batch = ["stages.phase1.config.sequences_per_step=24"]
        assert "stages.phase1.resources.nodes=3: partition test gives a job 2 at most" in refused(*part, few, *batch)
        assert "no such partition, did you mean test?" in refused(*part, "--", "-p", "tset")
        assert "Invalid generic resource (gres)" in refused("--gpus", *part)
        assert "tokenize reads tokenizer" in refused(*settings, "from=tokenize", "to=phase1")
        command("scontrol", "update", "partition=test", "maxtime=60")
        try:
            assert "gives a job 1 hours at most" in refused(*part)
            assert "gives a job 1 hours at most" in refused(*part, "--", "--time=61")
        finally:
            command("scontrol", "update", "partition=test", "maxtime=INFINITE")
        assert queue() == []
        assert not (tmp_path / "chained" / "tokenizer").exists()

    @pytest.mark.parametrize(
        ("what", "message"),
        [
            ("scontrol update partition=test state=INACTIVE", "stages.phase1: sbatch failed"),
            ("kill -TERM $PPID", "stopped while submitting"),
        ],
    )
    def test_a_chain_is_submitted_whole_or_not_at_all(
        self, settings: list[str], tmp_path: Path, what: str, message: str
    ) -> None:
        """Something happens when the last of three jobs is submitted."""
        wrapper = tmp_path / "bin" / "sbatch"
        wrapper.parent.mkdir()
        wrapper.write_text(
            f'#!/bin/bash\n[[ $1 == --parsable && $2 == *=chained/phase1 ]] && {what}\nexec {which("sbatch")} "$@"\n'
        )
        wrapper.chmod(0o755)
        try:
            said = refused(
                *settings, "from=tokenizer", "to=phase1", "--", "--hold", PATH=f"{wrapper.parent}:{os.environ['PATH']}"
            )
        finally:
            command("scontrol", "update", "partition=test", "state=UP")
        assert message in said
        assert "jobs that had been submitted were canceled" in said
        wait_for(lambda: queue() == [], "the end of the canceled jobs")

    def test_a_run_is_submitted_once_at_a_time(self, settings: list[str], tmp_path: Path) -> None:
        part = [*settings, "from=tokenizer", "to=tokenize"]
        jobs = submit(*part, "--", "--hold")
        try:
            said = refused(*settings, "from=tokenizer", "to=tokenizer")
            assert f"{tmp_path}/chained/tokenizer: already submitted (jobs {jobs['tokenizer']})" in said
            # Another run that has the same name is none of its business.
            elsewhere = tmp_path / "elsewhere"
            others = [f"root={elsewhere}" if each.startswith("root=") else each for each in settings]
            publish_documents(elsewhere / "chained", others)
            further = submit(*others, "from=tokenizer", "to=tokenizer", "--", "--hold")
            command("scancel", *further.values())
        finally:
            command("scancel", *jobs.values())
        wait_for(lambda: queue() == [], "the end of the canceled jobs")

    def test_the_rank_that_failed_first_speaks(self, settings: list[str], tmp_path: Path) -> None:
        longer = [*settings, "stages.phase1.config.tokens=800000", "stages.phase1.config.max_epochs=1000"]
        jobs = submit(*longer, "from=tokenizer", "to=phase1")
        phase = tmp_path / "chained" / "phase1"
        progress = phase / "attempts" / "1" / "progress.json"
        wait_for(lambda: progress.exists() and read_json(progress)["done"] > 0, "the first steps")
        # The worker alone has this variable; the task's shell has SLURM_PROCID.
        for process in set(running("RANK=1")) & set(running(f"SLURM_JOB_ID={jobs['phase1']}")):
            os.kill(int(process), signal.SIGKILL)
        assert states(jobs)["phase1"] == "FAILED"
        log = (phase / f"slurm-{jobs['phase1']}.log").read_text()
        assert "phase1 failed in rank 1 (killed): ended by SIGKILL" in log.splitlines()[-1]

    def test_a_signal_saves_requeues_and_resumes(self, settings: list[str], tmp_path: Path) -> None:
        longer = [*settings, "stages.phase1.config.tokens=80000", "stages.phase1.config.max_epochs=100"]
        jobs = submit(*longer, "from=tokenizer", "to=phase1")
        phase = tmp_path / "chained" / "phase1"
        wait_for_first_steps(phase, jobs["phase1"])
        # Another configuration does not pull the folder from under it.
        other = [*longer, "stages.phase1.config.tokens=90112", "from=phase1", "to=phase1"]
        frozen = subprocess.run(
            [sys.executable, "-P", "-m", "pipeline", "plan", "--freeze", *other],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert frozen.returncode == 2
        assert f"job {jobs['phase1']} works on this run with other settings" in frozen.stderr
        assert ["tokens", "80000", "90112", "phase1"] in [line.split() for line in frozen.stderr.splitlines()]
        assert f"already submitted (jobs {jobs['phase1']})" in refused(*other)
        command("scancel", "--batch", "--signal=USR1", jobs["phase1"])
        assert set(states(jobs).values()) == {"COMPLETED"}
        manifest = read_manifest(phase)
        assert manifest is not None
        assert manifest.attempt == 2
        log = (phase / f"slurm-{jobs['phase1']}.log").read_text()
        assert "attempt 1: exit code 75" in log
        assert "attempt 2: exit code 0" in log

    @pytest.mark.exhaustive
    def test_what_outlasts_the_lead_goes_on_from_its_last_save(self, settings: list[str], tmp_path: Path) -> None:
        """A step takes more than two minutes, and longer than the job has: a TIMEOUT would cancel what waits for it."""
        changes = {"tokens": 40 * STEP_TOKENS, "max_epochs": 1000, "save_every_steps": 1}
        longer = [*settings, *(f"++stages.phase1.config.{key}={value}" for key, value in changes.items())]
        jobs = submit(*longer, "from=tokenizer", "to=phase1", "--", "--time=3")
        phase = tmp_path / "chained" / "phase1"
        wait_for_first_steps(phase, jobs["phase1"])
        for process in set(running("RANK=1")) & set(running(f"SLURM_JOB_ID={jobs['phase1']}")):
            os.kill(int(process), signal.SIGSTOP)
        assert set(states(jobs).values()) == {"COMPLETED"}
        log = (phase / f"slurm-{jobs['phase1']}.log").read_text()
        assert "attempt 1: not saved in time, goes on from its last save" in log
        assert "attempt 2: exit code 0" in log
        first = json.loads((phase / "attempts" / "2" / "metrics.jsonl").read_text().splitlines()[0])
        assert first["tokens"] > STEP_TOKENS

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
        said = (run / "phase1" / "attempts" / "1" / "rank-0.log").read_text()
        assert "Traceback" not in said
        # Another attempt would send what the process had not sent that the signal ended.
        assert "ended by SIGTERM" not in said
        assert sent_tokens(run, "phase1") >= {step * STEP_TOKENS for step in range(2, steps + 1, 2)}
