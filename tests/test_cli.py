"""The command line: what it prints, and how it says what is wrong."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline import __version__
from pipeline.commands.table import COMMANDS
from pipeline.core.errors import EXIT_DONE
from pipeline.core.files import write_json
from tests import ROOT
from tests.command_line import error_line, fivephase

RECIPES = ROOT / "data_recipes"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "from=phase9"), "from=phase9: unknown stage, did you mean phase"),
        (("plan", "scale=smok"), "scale=smok: no such choice, did you mean smoke?"),
        (("plan", "sed=1"), "sed=1: no key sed, did you mean seed?"),
        (("plan", "stages.phase1.config.tokns=5"), "stages.phase1.config.tokns: unknown key, did you mean tokens?"),
        (("plan", "+stages.phase1.config.tokns=5"), "tokns: unknown key, did you mean tokens?"),
        (("plan", "stages.phase1.config.tokens=many"), "stages.phase1.config.tokens='many': "),
        (("plan", "stages.phase1.kind=pretrian"), "unknown kind, did you mean pretrain?"),
        (
            ("plan", "+stages.phase1.config.mixture.maths=5"),
            "stages.phase1.config.mixture.maths: no recipe makes this domain, did you mean math?",
        ),
        (
            ("plan", "resources.pretraining.nodes=3"),
            "stages.phase1.config.sequences_per_step=4 is no multiple of sequences_per_rank=4 × 3 ranks",
        ),
        (
            ("plan", "resources.posttraining.nodes=3"),
            "stages.sft.config.sequences_per_step=4 is no multiple of sequences_per_device=2 × 3 ranks",
        ),
        (
            ("plan", "stages.rl_math.resources={nodes:5}"),
            "stages.rl_math.config.prompts_per_step x samples_per_prompt=",
        ),
        (
            ("plan", "stages.release.resources={nodes:2}"),
            "stages.release.resources: 2 ranks, but release works on one",
        ),
        (
            ("plan", "stages.evaluate_phase4.config.probes.lengths=[512]"),
            "stages.evaluate_phase4.config.probes.lengths=512: the model's phase trains 256 tokens, set at most 256",
        ),
        (
            ("plan", "stages.evaluate_sft.config.probes.families=[copyin]"),
            "stages.evaluate_sft.config.probes: families: no probe copyin, did you mean copying?",
        ),
        (
            ("plan", "stages.evaluate_phase4.config.text.outside={mine:{path:nowhere}}"),
            "text.outside.mine.path=nowhere: no such file or folder",
        ),
        (
            ("plan", "stages.evaluate_sft.inputs.tokens=null"),
            "inputs.tokens: missing, and config.loss is measured on tokens, null is not; set it to tokenize",
        ),
        (("plan", "resources.data.processes_per_node=2"), "resources: 2 ranks, but"),
        (("plan", "run=../up"), "run=../up: set a name of letters, digits"),
        (("plan", "run="), "fivephase: run=: set a name of letters, digits"),
        (("plan", "scale=smoke", "chain=[]"), "chain=[]: name a stage, or set null for all"),
        (
            ("plan", "scale=smoke", "stages.sft.config.learning_rate=inf"),
            "stages.sft.config.learning_rate=inf: input should be a finite number",
        ),
        (("rnu", "scale=smoke"), "rnu: no such command, did you mean run?"),
        (("scale=smoke", "run"), "scale=smoke: a command comes first"),
        (("plan", "--dry-run"), "--dry-run: unknown option"),
        (("run", "--multirun", "seed=1,2"), "--multirun: unknown option, a command is for one configuration"),
        (("plan", "seed=1,2"), "a sweep over several values is not taken; give one value"),
        (("plan", "deepspeed=null"), "deepspeed=null: no such choice, valid: "),
        (("plan", "scale=smoke", "stages.sft.config.adam_beta1=1"), "stages.sft.config.adam_beta1=1: set it below 1"),
        (
            ("plan", "scale=smoke", "stages.sft.config.attention=foo"),
            "attention='foo': input should be 'sdpa', ",
        ),
        (("plan", "=3"), "=3: not an override, write key=value without spaces"),
        (("plan", "scale", "=", "smoke"), "scale: not an override, write key=value without spaces"),
        (
            ("plan", "stages.curate.config.domains=[code,", "math]"),
            "math]: not an override, write key=value without spaces, or quote all of it: 'key=[a, b]'",
        ),
        (("plan", "stages.curate.config.domains=[code"), "cannot be read; write 'stages.curate.config.domains=[a, b]'"),
        (("plan", "model.name=it's"), """cannot be read; write 'model.name="it'"'"'s"', with the quotation marks"""),
        (("plan", "scale=mine", "--config-dir=."), "scale=mine: no such choice, valid: "),
        (("plan", "--config-dir=nowhere"), "--config-dir=nowhere: no such folder"),
        (("run", "from=sft", "to=phase1"), "from=sft to=phase1: sft comes after phase1, swap them"),
        (("run", "seed=one"), "seed='one': input should be a valid integer"),
        (("run", "recipe=mine.yaml"), "mine.yaml: cannot be read (No such file or directory"),
        (("run", "stages.curate.config.recipes=mine"), "recipes=mine: no such folder (looked for "),
        (
            ("run", "stages.tokenizer.config.vocab_size=1024"),
            "stages.phase1.config.model.vocab_size=2048: stages.tokenizer.config.vocab_size is 1024",
        ),
        (
            ("run", "stages.evaluate_sft.config.accuracy.environments=[math,sience]"),
            "stages.evaluate_sft.config.accuracy: environments: no environment 'sience', did you mean science?",
        ),
        (
            ("plan", "tracking.mode=loud"),
            "tracking.mode='loud': input should be 'offline', 'online' or 'off'",
        ),
    ],
)
def test_bad_input_is_one_clear_line(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert message in error_line(capsys, *arguments, f"root={tmp_path}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["stage", "remake"])
def test_a_stage_that_is_unknown_is_named_as_it_was_typed(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = error_line(capsys, command, "rewards_model", f"root={tmp_path}")
    assert said == "fivephase: rewards_model: unknown stage, did you mean reward_model?"


@pytest.mark.parametrize("arguments", [("plan",), ("run",), ("stage", "curate")])
def test_a_missing_login_for_tracking_is_said_before_anything_starts(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE", "NETRC", "WANDB_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    said = error_line(capsys, *arguments, "tracking=online", f"root={tmp_path}")
    assert "tracking.mode=online: " in said
    assert said.endswith("Run `wandb login`, set WANDB_API_KEY, or set tracking=offline")
    assert not list(tmp_path.iterdir())


def test_an_unquoted_date_in_a_recipe_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    recipe = (RECIPES / "smoke" / "code.yaml").read_text()
    (tmp_path / "code.yaml").write_text(re.sub("date_obtained: .*", "date_obtained: 2026-05-01", recipe))
    said = error_line(capsys, "run", f"recipe={tmp_path / 'code.yaml'}", f"root={tmp_path / 'runs'}")
    assert "disclosure.date_obtained=2026-05-01: not text but date, put it in quotes" in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_terminal_without_unicode_gets_plain_characters(encoding: str) -> None:
    command = [sys.executable, "-m", "pipeline", "stages"]
    printed = subprocess.run(
        command, env={**os.environ, "PYTHONIOENCODING": encoding}, check=True, capture_output=True
    ).stdout.decode("ascii")
    assert printed.splitlines()[1].split() == ["-" * len(rule) for rule in printed.splitlines()[1].split()]


def test_bad_recipes_are_refused_before_anything_runs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    folder = tmp_path / "recipes"
    shutil.copytree(RECIPES / "smoke", folder)
    recipe = yaml.safe_load((folder / "code.yaml").read_text())
    recipe["licenses"] = "MIT"
    (folder / "code.yaml").write_text(yaml.safe_dump(recipe))
    overrides = (f"stages.curate.config.recipes={folder}", f"root={tmp_path / 'runs'}")
    said = error_line(capsys, "run", *overrides)
    assert "code.yaml" in said
    assert "licenses" in said
    assert "licence" in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", ""),
        ("config.json", '{"fingerprint": "'),
        ("manifest.json", ""),
        ("publishing.json", ""),
        ("publishing.json", '{"stage": "curate", "kind": "cur'),
    ],
)
def test_a_damaged_file_of_a_run_is_named(
    name: str, content: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """As a crash of the machine or an interrupted copy leaves it."""
    damaged = tmp_path / "run" / "curate" / name
    damaged.parent.mkdir(parents=True)
    damaged.write_text(content)
    assert str(damaged) in error_line(capsys, "plan", "--freeze", "to=curate", "run=run", f"root={tmp_path}")
    assert damaged.read_text() == content


def test_a_manifest_whose_entries_have_no_size_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    damaged = tmp_path / "run" / "curate" / "manifest.json"
    known = {"stage": "curate", "kind": "curate", "fingerprint": "x", "inputs": {}}
    write_json(damaged, {**known, "files": {"documents/code/0.jsonl.gz": {}}})
    assert str(damaged) in error_line(capsys, "plan", "--freeze", "to=curate", "run=run", f"root={tmp_path}")
    for command in ("status", "report"):
        assert fivephase(command, "run=run", f"root={tmp_path}") == EXIT_DONE
        lines = capsys.readouterr().out.splitlines()
        assert next(line.split() for line in lines if line.startswith("curate ")) == ["curate", "damaged"]
        assert any(line.startswith(f"{damaged}: not a manifest") for line in lines)
        assert any(line.startswith("tokenizer ") for line in lines)


@pytest.mark.parametrize("root", ["/sys/runs", f"{__file__}/runs"])
def test_a_root_that_cannot_be_written_is_named(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = error_line(capsys, "run", "to=curate", f"root={root}")
    assert root in said
    assert "root=<folder>" in said


@pytest.mark.parametrize("content", [b"a: [b", b"\xff\xfe", b"a: b\n\tc: d", b"# @package _global_\ndefaults: smoke\n"])
def test_a_configuration_that_is_none_is_one_line(
    content: bytes, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "scale").mkdir()
    (tmp_path / "scale" / "mine.yaml").write_bytes(content)
    for further in ((), ("sed=1",)):
        assert "scale/mine" in error_line(capsys, "plan", "--config-dir", str(tmp_path), "scale=mine", *further)


@pytest.mark.parametrize("arguments", [("report",), ("plan",), ("plan", "--cfg", "job")])
def test_a_reader_that_is_gone_ends_the_command_quietly(arguments: tuple[str, ...], tmp_path: Path) -> None:
    """As `fivephase report | head`, which Unix ends with signal 13."""
    write_json(tmp_path / "smoke" / "curate" / "manifest.json", {})
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "pipeline", *arguments, f"root={tmp_path}"]
    ended = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_the_composed_configuration_is_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    assert fivephase("run", "scale=granite_4_1_8b", "--cfg", "job") == EXIT_DONE
    composed = yaml.safe_load(capsys.readouterr().out)
    assert composed["model"]["hidden_size"] == 4096
    assert composed["stages"]["phase1"]["config"]["tokens"] == 10_000_000_000_000
    assert composed["stages"]["rl_math"]["config"]["prompts"] == 13_504


def test_plan_prints_the_published_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    """Rates at the ends of phases: the power law at 10T and 12T tokens, a tenth of that, zero."""
    assert fivephase("plan", "scale=granite_4_1_8b") == EXIT_DONE
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert "10,000,000,876,544" in lines["phase1"]
    assert "2,384,186" in lines["phase1"]
    assert "→ 0.00096 (power)" in lines["phase1"]
    assert "→ 0.000875 (power)" in lines["phase2"]
    assert "→ 8.75e-05 (exponential)" in lines["phase3"]
    assert "→ 0 (linear)" in lines["phase4"]
    assert "0.0001 → 0 (exponential)" in lines["phase5_512k"]


@pytest.mark.parametrize(
    "scale", ["smoke", "laptop", "smoke_gpu", "granite_4_1_3b", "granite_4_1_8b", "granite_4_1_30b"]
)
def test_every_scale_plans(scale: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert fivephase("plan", f"scale={scale}") == EXIT_DONE
    planned = capsys.readouterr().out
    names = [line.split()[0] for line in planned.splitlines() if line.strip()]
    assert ("phase5_512k" in names) == (scale != "granite_4_1_3b")
    assert "release" in names
    ends = next(line for line in planned.splitlines() if line.startswith("cannot save midway"))
    assert "tokenizer, release" in ends
    assert "phase1" not in ends


def test_plan_for_a_batch_system(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ("plan", "--freeze", "--format=tsv", "to=tokenizer", "run=x", f"root={tmp_path}")
    assert fivephase(*arguments) == EXIT_DONE
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows] == ["curate", "synthesize", "tokenizer"]
    assert rows[2][3:5] == [str(tmp_path / "x" / "tokenizer"), "curate,synthesize"]
    assert (tmp_path / "x" / "tokenizer" / "config.json").exists()


@pytest.mark.parametrize("command", ["status", "report", "trace", "stages"])
def test_a_run_that_does_not_exist_is_no_empty_table(
    command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = error_line(capsys, command, "run=first", f"root={tmp_path}")
    assert said == f"fivephase: run=first: no such run in {tmp_path}/, there is none; `fivephase run` makes one"


def test_version_names_the_package_and_the_revision(capsys: pytest.CaptureFixture[str]) -> None:
    assert fivephase("--version") == EXIT_DONE
    assert re.fullmatch(
        rf"fivephase {re.escape(__version__)}( \([0-9a-f]{{40}}(-dirty)?\))?\n", capsys.readouterr().out
    )


def test_no_command_at_all_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert fivephase() == EXIT_DONE
    shown = capsys.readouterr().out
    # A long name has a line of its own.
    assert all(f"    {command} " in shown or f"    {command}\n" in shown for command in COMMANDS)


def test_ctrl_c_while_it_is_imported_ends_it_without_a_traceback() -> None:
    program = (
        "import importlib.abc, os, signal, sys\n"
        "class AtHydra(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'hydra': os.kill(os.getpid(), signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.meta_path.insert(0, AtHydra())\n"
        "from pipeline.cli import main\n"
        "main(['plan'])\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_the_control_plane_imports_no_torch() -> None:
    """Composing, checking and freezing start at once, on a login node too."""
    program = (
        "import sys, pipeline.cli as cli\n"
        "try: cli.main(['plan', 'scale=granite_4_1_8b'])\n"
        "except SystemExit as e: assert e.code == 0\n"
        "heavy = {'torch', 'deepspeed', 'transformers', 'trl', 'datatrove', 'wandb'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def test_a_trace_without_anything_to_look_up_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    root = f"root={tmp_path}"
    write_json(tmp_path / "smoke" / "curate" / "manifest.json", {})
    assert "set either step=PHASE/NUMBER or document=ID" in error_line(capsys, "trace", root)
    assert "set either" in error_line(capsys, "trace", "step=phase1/3", f"document={'0' * 64}", root)
    (tmp_path / "smoke" / "curate" / "manifest.json").unlink()
    write_json(tmp_path / "smoke" / "curate" / "config.json", {})
    assert "no finished phase of pretraining to trace" in error_line(capsys, "trace", "step=phase1/3", root)
