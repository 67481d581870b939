"""Small real runs for tests: finished upstream stages, and a worker process on a frozen one."""

import dataclasses
import gzip
import hashlib
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from pipeline.control.frozen_stages import FrozenStage, read_frozen, write_frozen
from pipeline.core.artifact import PARTIAL, Manifest, publish
from pipeline.tokenization.tokenizer import tokenizer_fingerprint
from tests.settings import model_shape, stage_settings
from tests.shards import END_OF_TEXT, write_shards

VOCABULARY = 64
PHASE_INPUTS = {"tokens": "tokens", "tokenizer": "tokenizer"}
"""Role to stage of what `write_phase_inputs` makes, for `freeze`."""


def finished(run: Path, stage: str, write: Callable[[Path], Any]) -> Path:
    """Publishes a stage whose files `write(partial)` makes."""
    partial = run / stage / PARTIAL
    partial.mkdir(parents=True)
    write(partial)
    publish(run / stage, Manifest(stage=stage, kind=stage, fingerprint=f"of {stage}", inputs={}, files={}))
    return run / stage


def write_tokenizer(directory: Path) -> None:
    """A tokenizer of 64 ids, 0 of them `<|end_of_text|>`."""
    ids = {f"t{number}": number for number in range(VOCABULARY)}
    end = ids.pop(f"t{END_OF_TEXT}")
    vocabulary = {"<|end_of_text|>": end, **ids}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="t1"))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|end_of_text|>",
        eos_token="<|end_of_text|>",
        pad_token="t2",
    ).save_pretrained(directory / "tokenizer")


def write_counting_tokens(directory: Path, step: int = 1) -> None:
    """Documents that count upward in steps from different numbers: quickly learned. In ids of `write_tokenizer`."""
    documents = {
        domain: [[3 + (start + each * at) % 60 for at in range(50)] for start in range(60)]
        for domain, each in (("code", step), ("math", 2 * step))
    }
    with tempfile.TemporaryDirectory() as folder:
        write_tokenizer(Path(folder))
        fingerprint = tokenizer_fingerprint(Path(folder) / "tokenizer")
    write_shards(directory / "tokens", documents, 10, VOCABULARY, fingerprint)


def write_phase_inputs(run: Path) -> None:
    """Finishes the stages `tokenizer` and `tokens`, which a phase of `phase_settings` reads."""
    finished(run, "tokenizer", write_tokenizer)
    finished(run, "tokens", write_counting_tokens)


def publish_documents(run: Path, overrides: list[str]) -> None:
    """Finishes the stages `curate` and `synthesize` of a configured run: text of the standard library in every domain.

    Args:
        run: the run's folder.
        overrides: those of the run, with its name and root.
    """
    command = [sys.executable, "-m", "pipeline", "plan", "--freeze", "--format=tsv", "to=synthesize", *overrides]
    subprocess.run(command, check=True, capture_output=True)
    library = Path(sysconfig.get_paths()["stdlib"])
    sources = [path.read_text() for path in sorted(library.glob("*.py"))[:40]]
    texts = [source[start : start + 2000] for source in sources for start in range(0, len(source), 2000)]
    for stage, domains in (("curate", stage_settings("tokenize")["domains"]), ("synthesize", ())):
        directory = run / stage
        metrics: dict[str, float] = {}
        for number, domain in enumerate(domains):
            documents = directory / PARTIAL / "documents" / domain
            documents.mkdir(parents=True)
            with gzip.open(documents / "00000.jsonl.gz", "wt") as file:
                own = texts[number :: len(domains)]
                metrics[f"{domain}/bytes"] = float(sum(len(text.encode()) for text in own))
                for text in own:
                    identity = hashlib.sha256(text.encode()).hexdigest()
                    file.write(json.dumps({"id": identity, "text": text, "metadata": {}}) + "\n")
        frozen = read_frozen(directory)
        made = {"fingerprint": frozen.fingerprint, "inputs": frozen.inputs, "metrics": metrics}
        publish(directory, Manifest(stage=stage, kind=stage, files={}, **made))


def phase_settings(**changes: Any) -> dict[str, Any]:
    """Settings of a phase of 60 steps of eight sequences of 16 tokens, which learns to count in seconds."""
    return {
        "model": dataclasses.asdict(model_shape(
            vocab_size=VOCABULARY, hidden_size=32, layers=2, attention_heads=4, key_value_heads=2,
            mlp_hidden_size=48, base_width=32,
        )),
        "tokens": 60 * 8 * 16,
        "context": 16,
        "rope_theta": 10_000.0,
        "sequences_per_step": 8,
        "sequences_per_rank": 4,
        "mixture": {"code": 2, "math": 1},
        "max_epochs": 100,
        "learning_rate": {"law": "linear", "start": 0.01},
        "precision": "fp32",
        "attention": "sdpa",
        "save_every_steps": 10,
        "deepspeed": {"zero_optimization": {"stage": 1}},
        **changes,
    }  # fmt: skip


def freeze(run: Path, stage: str, kind: str, config: dict[str, Any], inputs: dict[str, str], **changes: Any) -> Path:
    """Writes a frozen stage as the control plane would; upstream stages are `finished`.

    Args:
        run: folder of the run.
        stage: name of the stage.
        kind: what kind of stage it is.
        config: its settings.
        inputs: role to stage.
        changes: other fields of `FrozenStage`.
    """
    frozen = FrozenStage(
        run=run.name,
        stage=stage,
        kind=kind,
        fingerprint=f"of {stage}",
        seed=0,
        verify_hashes=True,
        inputs={role: {"stage": name, "fingerprint": f"of {name}"} for role, name in inputs.items()},
        config=config,
        tracking={"mode": "off"},
        resources={},
    )
    write_frozen(run / stage, dataclasses.replace(frozen, **changes))
    return run / stage


def frozen_stage(name: str, fingerprint: str, **changes: Any) -> FrozenStage:
    """A stage of the run `abl` that only its folder and its settings matter of."""
    given = {"kind": "tokenizer", "config": {"tokens": 5}, "inputs": {}, "resources": {}, "version": 1}
    common = {"run": "abl", "seed": 0, "verify_hashes": True, "tracking": {}}
    return FrozenStage(stage=name, fingerprint=fingerprint, **{**common, **given, **changes})


RANK_VARIABLES = ("MASTER_ADDR", "MASTER_PORT", "RANK", "LOCAL_RANK", "WORLD_SIZE")


def start_worker(directory: Path, **environment: str) -> subprocess.Popen[bytes]:
    """A worker process in a session of its own, so that killing its group leaves nothing behind."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.worker", str(directory)],
        # A group of ranks that a test made in this process has left its port behind.
        env={
            **{name: value for name, value in os.environ.items() if name not in RANK_VARIABLES},
            "OMP_NUM_THREADS": "1",
            **environment,
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def outcome(directory: Path) -> tuple[int, str]:
    """Runs the worker of a frozen stage to its end: its exit code, and what it said."""
    worker = start_worker(directory)
    said = worker.communicate(timeout=300)[1].decode()
    return worker.returncode, said


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[bytes], seconds: float = 240) -> None:
    """Polls until a condition holds; fails if the process ends or time runs out first."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1].decode()[-2000:]
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.005)
