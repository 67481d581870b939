"""What proves the most about the code on one GPU, in one sitting of thirteen minutes.

    python benchmarks/gpu_session.py pack packed                    where there is a package registry
    python3 benchmarks/gpu_session.py install packed /tmp/site      on the machine with the GPU, which needs no network
    python3 benchmarks/gpu_session.py --site /tmp/site --packed packed --out results
    python benchmarks/gpu_session.py --dry                          every part on the CPU, with tiny shapes

The machine with the GPU has Python 3.12, torch 2.11 and what comes with transformers; what it lacks travels in
`packed/`, with the tokens of `scale=smoke_gpu`. Each part is a process of its own with a time limit, and what one
leaves of its time is given to the next. After every part, `gpu_session.json` and `gpu_session.md` in the folder of
results have all that was measured, also by a part that failed or was stopped, and `gpu_session.log` what it said.
"""

import argparse
import contextlib
import dataclasses
import datetime
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
TARGET_PYTHON = "3.12"
PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_24", "manylinux_2_17", "manylinux2014", "manylinux1")
"""What pip takes wheels for; it compares these names one by one."""
WHEELS = (
    "transformers", "trl", "datasets", "dill", "multiprocess", "pydantic", "pydantic_core", "annotated-types",
    "typing-inspection", "hydra-core", "omegaconf", "hjson", "math-verify", "latex2sympy2_extended", "jsonschema",
    "jsonschema-specifications", "referencing", "rpds-py", "orjson", "datatrove", "loguru",
    "fasttext-numpy2-wheel",
)  # fmt: skip
"""Packages that the machine with the GPU lacks, in the versions of constraints.txt."""
BUILT_WHEELS = ("deepspeed", "antlr4-python3-runtime")
"""Those of which there is only source: pure Python, deepspeed without its operators (DS_BUILD_OPS=0)."""
PACKED_TOKENS = {"phase1": 3_000_000, "phase2": 1_500_000}
"""Half of what smoke_gpu trains on: seconds on a GPU."""
PACKED_RUN = "gpu_session"
"""Name of the run in `packed/` with the stages `tokenizer` and `tokenize`, and `phase1` and `phase2` frozen."""


@dataclass(frozen=True)
class Part:
    """One part of the session: `function` of a module beside this one yields its rows, and notes as strings."""

    name: str
    function: str
    seconds: float
    """Time limit."""
    about: str


PARTS = (
    Part("phases", "gpu_stages:phases", 100, "phases 1 and 2 of smoke_gpu through the worker"),
    Part("sft", "gpu_stages:sft", 110, "SFT through the worker on packed conversations, flex and sdpa attention"),
    Part("rl", "gpu_stages:rl", 80, "one step of GRPO through the worker"),
    Part(
        "longest", "gpu_tables:longest_context", 95, "the longest context of the 8b shape, recomputed, MLPs in 8 parts"
    ),
    Part(
        "zero", "gpu_training:zero", 100, "ZeRO 1, 2, 3 on one NCCL rank: 20 steps against AdamW, resumed, handed over"
    ),
    Part(
        "steps", "gpu_training:steps", 100, "step time: the logits check first and last, loss chunks, foreach and fused"
    ),
    Part("speed", "gpu_tables:speed", 140, "tokens/s, MFU and memory at the 1b and 3b shapes, eager and compiled"),
    Part(
        "losses", "gpu_losses:losses", 55, "flex, sdpa and eager attention on packed rows, and our loss, against fp64"
    ),
)
"""In the order of what is least known: thirteen minutes together."""


@dataclass
class Outcome:
    """What came of a part."""

    part: str
    about: str
    result: str = ""
    """`done`, or why not."""
    seconds: float = 0.0
    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def pinned(names: Iterable[str]) -> list[str]:
    """The packages with their versions out of constraints.txt."""
    versions = {}
    for line in (REPOSITORY / "constraints.txt").read_text().splitlines():
        name, _, version = line.partition("==")
        versions[_normalized(name)] = version
    return [f"{name}=={versions[_normalized(name)]}" for name in names]


def _normalized(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def pack(folder: Path) -> None:
    """Writes `folder`/wheels, and `folder`/run with the tokens of smoke_gpu: minutes on two cores."""
    wheels = str(folder / "wheels")
    platforms = [each for name in PLATFORMS for each in ("--platform", f"{name}_x86_64")]
    shutil.rmtree(wheels, ignore_errors=True)  # two versions of a package would stop its installation
    for_target = ["--only-binary=:all:", "--implementation=cp", f"--python-version={TARGET_PYTHON}", *platforms]
    _pip("download", "--no-deps", *for_target, "-d", wheels, *pinned(WHEELS))
    _pip("wheel", "--no-deps", "--no-build-isolation", "-w", wheels, *pinned(BUILT_WHEELS))
    with tempfile.TemporaryDirectory() as root:
        settings = [f"root={root}", f"run={PACKED_RUN}", "scale=smoke_gpu", "tracking=off"]
        settings += [f"stages.{stage}.config.tokens={tokens}" for stage, tokens in PACKED_TOKENS.items()]
        _fivephase("run", *settings, "to=tokenize")
        _fivephase("plan", "--freeze", *settings, "from=phase1", "to=phase2")
        shutil.rmtree(folder / "run", ignore_errors=True)
        without = shutil.ignore_patterns("attempts", "lock")
        for stage in ("tokenizer", "tokenize", "phase1", "phase2"):
            shutil.copytree(Path(root) / PACKED_RUN / stage, folder / "run" / PACKED_RUN / stage, ignore=without)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 2**20:.1f} MiB")


def install(folder: Path, site: Path) -> None:
    """Unpacks the wheels of `folder` into `site`, for PYTHONPATH, without asking anybody."""
    alone = ["--no-index", "--no-deps", "--no-compile", "--no-cache-dir", "--upgrade", "--target", str(site)]
    _pip("install", *alone, *sorted(map(str, (folder / "wheels").glob("*.whl"))))


def _pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", arguments[0], "-q", *arguments[1:]], check=True,
                   env={**os.environ, "DS_BUILD_OPS": "0"})  # fmt: skip


def _fivephase(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pipeline", *arguments], check=True, cwd=REPOSITORY)


def run_part(part: Part, seconds: float, options: argparse.Namespace, log: Any) -> Outcome:
    """Runs a part in a process of its own, which with all that it started ends at the time limit.

    Args:
        part: to run.
        seconds: after which it is stopped.
        options: of the command line.
        log: open file that takes what it says.
    """
    outcome = Outcome(part.name, part.about)
    started = time.monotonic()
    paths = [str(REPOSITORY), *filter(None, [options.site and str(options.site), os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}
    if options.dry:
        environment["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as work:
        found = Path(work) / "found.jsonl"
        command = [sys.executable, __file__, "part", part.name, work]
        command += ["--dry"] if options.dry else []
        command += ["--packed", str(options.packed.resolve())] if options.packed else []
        log.write(f"\n== {part.name}\n")
        log.flush()
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
        try:
            code = process.wait(timeout=seconds)
            outcome.result = "done" if code == 0 else f"failed, exit code {code}"
        except subprocess.TimeoutExpired:
            outcome.result = f"stopped after {seconds:g} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for line in found.read_text().splitlines() if found.exists() else []:
            each = json.loads(line)
            if isinstance(each, str):
                outcome.notes.append(each)
            else:
                outcome.rows.append(each)
    said = Path(log.name).read_text(errors="replace").rpartition(f"\n== {part.name}\n")[2].split("\n")
    if outcome.result != "done" and (lines := [line for line in said if line.strip()]):
        outcome.notes.append(f"It said last: `{lines[-1][:500]}`")
    outcome.seconds = time.monotonic() - started
    return outcome


def part(name: str, work: Path, dry: bool, packed: Path | None) -> None:
    """The process of a part: writes what it yields to `found.jsonl` in `work`, line by line."""
    module, _, function = next(each.function for each in PARTS if each.name == name).partition(":")
    yielded: Iterator[dict[str, Any] | str] = getattr(importlib.import_module(module), function)(dry, work, packed)
    with (work / "found.jsonl").open("a") as found:
        for each in yielded:
            found.write(f"{json.dumps(each)}\n")
            found.flush()


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A Markdown table of rows, its columns in the order in which they are first met; numbers with three digits."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for row in rows:
        values = (row.get(column, "") for column in columns)
        cells = (f"{value:,.3g}" if isinstance(value, float) and abs(value) < 1000 else
                 f"{value:,.0f}" if isinstance(value, float) else str(value) for value in values)  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    return lines if rows else []


def write_results(folder: Path, outcomes: Sequence[Outcome], command: str) -> None:
    """Writes `gpu_session.json` and `gpu_session.md`."""
    now = datetime.datetime.now(datetime.UTC).date().isoformat()
    described = {"command": command, "date": now, "parts": [dataclasses.asdict(each) for each in outcomes]}
    (folder / "gpu_session.json").write_text(json.dumps(described, indent=1) + "\n")
    lines = ["# One GPU, thirteen minutes", "", f"`{command}`, {now}"]
    for each in outcomes:
        lines += ["", f"## {each.part}: {each.result}, {each.seconds:.0f} s", "", f"{each.about}."]
        lines += [line for note in each.notes for line in ("", note)]
        lines += ["", *table(each.rows)] if each.rows else []
    (folder / "gpu_session.md").write_text("\n".join(lines) + "\n")


def run(options: argparse.Namespace) -> int:
    """Runs the parts one after the other; 0 if all were done and nothing was found wrong."""
    options.out.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    left = 0.0
    with (options.out / "gpu_session.log").open("w") as log:
        for each in PARTS:
            if options.only and each.name not in options.only:
                continue
            limit = options.limit or each.seconds + left
            outcomes.append(run_part(each, limit, options, log))
            left = max(0.0, limit - outcomes[-1].seconds)
            write_results(options.out, outcomes, " ".join(["python", "benchmarks/gpu_session.py", *sys.argv[1:]]))
            print(f"{each.name}: {outcomes[-1].result}, {outcomes[-1].seconds:.0f} s", flush=True)
    wrong = [row for each in outcomes for row in each.rows if row.get("good") == "no"]
    return 0 if all(each.result == "done" for each in outcomes) and not wrong else 1


def main() -> None:
    """Does what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", nargs="?", choices=("run", "list", "pack", "install", "part"), default="run")
    parser.add_argument(
        "arguments", nargs="*", help="of pack: its folder; of install: that folder, and one for packages"
    )
    parser.add_argument("--dry", action="store_true", help="on the CPU, with tiny shapes")
    parser.add_argument("--only", nargs="+", choices=[each.name for each in PARTS], help="these parts")
    parser.add_argument("--limit", type=float, help="seconds that each part may take, instead of its own limit")
    parser.add_argument("--out", type=Path, default=Path("gpu_session"), help="folder of results")
    parser.add_argument("--site", type=Path, help="folder of packages that `install` made")
    parser.add_argument("--packed", type=Path, help="folder that `pack` made; phases train on made-up text without it")
    options = parser.parse_intermixed_args()
    match options.action, options.arguments:
        case "run", []:
            sys.exit(run(options))
        case "list", []:
            print("\n".join(f"{each.name}\t{each.seconds:.0f} s\t{each.about}" for each in PARTS))
        case "pack", [folder]:
            pack(Path(folder).resolve())
        case "install", [folder, site]:
            install(Path(folder), Path(site))
        case "part", [name, work]:
            part(name, Path(work), options.dry, options.packed)
        case action, arguments:
            parser.error(f"{action} does not take {len(arguments)} arguments")


if __name__ == "__main__":
    main()
