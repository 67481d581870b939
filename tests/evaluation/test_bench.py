"""Units of work are measured once: over attempts that were killed, and over ranks."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pipeline.core.artifact import Artifact
from pipeline.core.config import build
from pipeline.core.context import StageContext
from pipeline.core.errors import Requeue
from pipeline.core.progress import Progress
from pipeline.evaluation import evaluate
from pipeline.evaluation.bench import Bench, Measured
from pipeline.evaluation.config import EvaluateConfig
from tests.distributed import run_on_ranks, save
from tests.evaluation.settings import LONG_CONTEXT, SETTINGS

TEXT = {"context": 48, "maximum_bytes": 4000, "held_out": True, "outside": {"packages": {"packages": ["httpx"]}}}
PROBES = {"families": ["repetition", "single_needle"], "lengths": [300], "examples": 3}


def bench(state: Path, **changes: Any) -> Bench:
    """A bench without a model."""
    nothing: Any = SimpleNamespace()
    given = {"where": "suite=x", "config": nothing, "loaded": nothing, "folder": state, "tokens": None, "seed": 0}
    return Bench(**{**given, "tokenizer": None, "progress": Progress(None), "state": state, **changes})


def test_what_was_measured_before_a_kill_is_not_measured_again(tmp_path: Path) -> None:
    def stopped(number: int) -> int:
        if number == 3:
            raise KeyboardInterrupt
        return number * number

    with pytest.raises(KeyboardInterrupt):
        bench(tmp_path).shared("squares", range(5), stopped, "numbers")
    with (tmp_path / "squares-0.jsonl").open("a") as file:
        file.write("\n[4, 1")  # cut short
    measured = []
    found = bench(tmp_path).shared("squares", range(5), lambda n: measured.append(n) or n * n, "numbers")
    assert (found, measured) == ([0, 1, 4, 9, 16], [3, 4])
    assert bench(tmp_path).shared("squares", range(5), stopped, "numbers") == found


def test_a_finished_part_is_kept_whole(tmp_path: Path) -> None:
    first = bench(tmp_path).once("text", lambda _: Measured({"a": 1.5}, 7, [{"prompt": "x"}]))
    assert bench(tmp_path).once("text", lambda _: pytest.fail("measured again")) == first


def test_a_stop_signal_ends_the_work_between_two_units(tmp_path: Path) -> None:
    def stop() -> None:
        raise Requeue("stopped")

    with pytest.raises(Requeue):
        bench(tmp_path, between=stop).shared("part", range(3), lambda number: number, "numbers")
    lines = (tmp_path / "part-0.jsonl").read_text().split("\n")
    assert [json.loads(line) for line in lines if line] == [[0, 0]]


def _on_rank(folder: Path, settings: dict[str, Any], model: Artifact, tokens: Artifact) -> None:
    from pipeline.pretraining.engine.engine import join_process_group

    join_process_group()
    rank = torch.distributed.get_rank()
    context = StageContext.for_test(
        "evaluate", build(EvaluateConfig, settings, ""), {"model": model, "tokens": tokens}, folder
    )
    context.rank, context.world_size = rank, 2
    save(folder / "metrics.pt", evaluate.run(context).metrics)


@pytest.mark.slow
def test_two_ranks_find_what_one_finds(tmp_path: Path, model_artifact: Artifact, tokens_artifact: Artifact) -> None:
    settings = {**SETTINGS, "text": TEXT, "probes": PROBES, "batch_tokens": 128}
    settings["long_context"] = {**LONG_CONTEXT, "contexts": [128]}
    inputs = {"model": model_artifact, "tokens": tokens_artifact}
    config = build(EvaluateConfig, settings, "")
    alone = evaluate.run(StageContext.for_test("evaluate", config, inputs, tmp_path / "one"))
    (tmp_path / "two").mkdir()
    run_on_ranks(_on_rank, 2, tmp_path / "two", settings, model_artifact, tokens_artifact)
    together = torch.load(tmp_path / "two" / "metrics.pt")
    # A rank's share is batched otherwise, which changes the rounding of fp32.
    assert together == pytest.approx(alone.metrics, rel=1e-6)
    assert {name.split("/")[0] for name in together} >= {"loss", "bits_per_byte", "probe", "needle_loss", "accuracy"}
    files = {path.name for path in (tmp_path / "two" / "state" / "parts").glob("*.jsonl")}
    assert {"text-0.jsonl", "text-1.jsonl", "probes-1.jsonl", "needles_128-1.jsonl"} <= files
