"""The folder of a small run with every kind of stage that a report reads, made of the files that stages publish."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from pipeline.control.frozen_stages import write_frozen
from pipeline.core.artifact import PARTIAL, Manifest, provenance, publish
from pipeline.core.files import write_json
from pipeline.core.history import USAGE, write_history
from pipeline.core.tracking import METRICS
from tests.runs import frozen_stage

HOSTILE = '</pre></td><script>document.title="taken"</script><img src="http://192.0.2.1/x.png" onerror="taken()">&|`*'
"""What a page or a model may say."""
DOMAINS = ("math", "general_chat")


def make_run(folder: Path, seed: int = 0, gain: float = 0.0, learning_rate: float = 0.02) -> Path:
    """Makes the run, and returns its folder.

    Args:
        folder: of the run.
        seed: which the run remembers.
        gain: added to the accuracy of its last model.
        learning_rate: of its first phase.
    """
    phases = {name: {"config": {"learning_rate": learning_rate}} for name in ("phase1", "phase2")}
    configuration = {"scale": "smoke", "seed": seed, "tracking": {"mode": "off"}, "stages": phases}
    remembered = {"overrides": [f"seed={seed}"], "config_dir": None, "configuration": configuration, "stages": {}}
    write_json(folder / "run.json", remembered)
    _stage(folder, "curate", files=_funnel("code", "documents"), counts={"in": 10, "kept": 7, "removed": 3})
    _stage(folder, "tokenizer", {"corpus": "curate"}, measure="bytes per token", before=1.0, after=2.5)
    for place, phase in enumerate(("phase1", "phase2")):
        _phase(folder, phase, place, seed)
    _stage(
        folder, "evaluate_phase2", {"model": "phase2"}, kind="evaluate", measure="loss/mean", after=2.5,
        metrics={"loss/mean": 2.5, "loss/code": 2.5, "needle_exact/256": 0.75, "needle_exact/512": 0.0,
                 "needle_gain/256": 1.5, "needle_gain/512": 0.1, "long_range_loss/512": 3.0},
    )  # fmt: skip
    _stage(folder, "sft_data", files=_funnel("conversations", "conversations"), samples=[_sample("2 + 3?", "5")])
    for place, (trainer, kind) in enumerate((("sft", "sft"), ("rl_math", "rl"))):
        _trainer(folder, trainer, kind)
        accuracy = 0.25 + 0.5 * place + gain * place
        metrics = {"accuracy/mean": accuracy, "loss/mean": 8.0, "floor/mean": 0.3}
        for domain in DOMAINS:
            metrics |= {
                f"accuracy/{domain}": accuracy,
                f"accuracy/{domain}/low": accuracy - 0.1,
                f"accuracy/{domain}/high": accuracy + 0.1,
                f"floor/{domain}": 0.3,
                f"chance/{domain}": 0.1,
                f"prompts/{domain}": 32.0,
            }
        samples = [_sample("2 + 3?", "four" if not place else "5"), _sample(HOSTILE, HOSTILE, "general_chat")]
        _stage(
            folder, f"evaluate_{trainer}", {"model": trainer}, kind="evaluate",
            measure="accuracy/mean", after=accuracy, metrics=metrics, samples=samples,
        )  # fmt: skip
    return folder


def _sample(prompt: str, answer: str, domain: str = "math") -> dict[str, str]:
    return {"domain": domain, "prompt": prompt, "answer": answer, "score": "1 (right)"}


def _phase(folder: Path, name: str, place: int, seed: int) -> None:
    losses = {"code": 3.0 - place, "math": 2.0 - place, "near": 2.5 - place, "far": 2.75 - place, "mean": 2.5 - place}
    rows = [
        {
            "step": step,
            "tokens": place * 1000 + step * 100,
            "train/loss": 4.0 - place - step / 10 + seed / 100,
            "train/loss/code": 4.0,
            "train/learning_rate": 0.02 / step,
        }
        for step in range(1, 11)
    ]
    merged = {"method": "slerp", "weight": 0.5, "short": 2.0, "long": 2.5}
    _stage(
        folder, name, {"model": "phase1"} if place else {}, kind="pretrain", rows=rows, tokens=1000,
        measure="held-out loss", before=losses["mean"] + 1, after=losses["mean"],
        config={"context": 256, "mixture": {"code": 3, "math": 1}, "model": {"vocab_size": 2048}},
        metrics={
            **{f"loss/start/{key}": value + 1 for key, value in losses.items()},
            **{f"loss/end/{key}": value for key, value in losses.items()},
            "epochs/code": 0.5,
            "throughput/tokens_per_second": 100.0,
            "throughput/model_flops_per_second_and_rank": 6e8,
        },
        files={
            "training_state/progress.json": {"samples": {"code": 30, "math": 10}},
            "merge.json": {"tried": [merged, {**merged, "weight": 1.0}], "chosen": merged},
        },
    )  # fmt: skip


def _trainer(folder: Path, name: str, kind: str) -> None:
    of_rl = {"train/kl": 0.5, "train/completions/mean_length": 7.0, "train/completions/max_length": 9.0}
    rewards = {f"train/rewards/{domain}/mean": 0.5 for domain in DOMAINS}
    common = {"train/loss": 1.0, "train/reward": 0.25}
    rows = [
        {"step": step, "tokens": 50 * step, **common, **(of_rl | rewards if kind == "rl" else {})} for step in (1, 2, 3)
    ]
    verified = {"before": 0.2, "after": 0.7, "change": 0.5, "change_low": 0.3, "change_high": 0.7, "prompts": 24.0}
    metrics = {f"verified/math/{key}": value for key, value in verified.items()} if kind == "rl" else {}
    files: dict[str, Any] = {}
    if kind == "rl":
        reward = [1.0, None]
        columns = {"step": [1, 1], "prompt": ["a", "b"], "completion": ["four", "a longer one"], "math": reward}
        files["completions/completions_1.parquet"] = pyarrow.table({**columns, "math/verifier": reward})
    gate = {"gate": {"may_fall": 0.1, "action": "warn"}}
    _stage(
        folder, name, {"model": "phase2"}, kind=kind, rows=rows, metrics=metrics, tokens=150, config=gate, files=files
    )


def _funnel(domain: str, counted: str) -> dict[str, Any]:
    counts = {"in": 10, "kept": 7, "removed": 3, "edited": 1, "characters_in": 900, "characters_kept": 700}
    step = {"step": "length", **counts, "found": {}, "reasons": {"too_short": 3}}
    row = {"id": "a" * 64, "value": 3.0, "threshold": 5.0, "excerpt": HOSTILE}
    examples = {"removed": {"length": {"too_short": [row]}}, "near": {"length": {"too_short": [row]}}}
    return {
        "report.json": {domain: {"in": 10, "kept": 7, "bytes": 700, "description": counted, "steps": [step]}},
        f"examples/{domain}.json": examples,
    }


def _stage(
    folder: Path,
    name: str,
    inputs: Mapping[str, str] | None = None,
    kind: str | None = None,
    config: Mapping[str, Any] | None = None,
    files: Mapping[str, Any] | None = None,
    rows: list[dict[str, Any]] | None = None,
    **manifest: Any,
) -> None:
    directory = folder / name
    read = {role: {"stage": stage, "fingerprint": f"of {stage}"} for role, stage in (inputs or {}).items()}
    frozen = frozen_stage(
        name, f"of {name}", kind=kind or name, config=dict(config or {}), inputs=read, run=folder.name
    )
    write_frozen(directory, frozen)
    attempt = directory / "attempts" / "1"
    attempt.mkdir(parents=True)
    if rows:
        (attempt / METRICS).write_text("".join(json.dumps(row) + "\n" for row in rows))
    used = {"seconds": 3.0, "processor_joules": 3.6e6, "accelerator_joules": None, "hardware": "2 x CPU", "nodes": 1}
    write_json(attempt / USAGE, used)
    (directory / PARTIAL).mkdir()
    for path, content in (files or {}).items():
        if isinstance(content, pyarrow.Table):
            (directory / PARTIAL / path).parent.mkdir(parents=True, exist_ok=True)
            pyarrow.parquet.write_table(content, directory / PARTIAL / path)
        else:
            write_json(directory / PARTIAL / path, content)
    write_history(directory)
    # In the order in which they are made, for a report that knows the folder alone.
    order = f"2026-01-01T00:00:{len(list(folder.glob('*/manifest.json'))):02d}+00:00"
    known = {"fingerprint": f"of {name}", "inputs": read, "files": {}, "finished": order, "seconds": 2.0}
    publish(directory, Manifest(stage=name, kind=kind or name, **{**known, **provenance(), **manifest}))
