"""Settings of evaluations that take a second on a tiny model, and a bench for one part of them."""

from pathlib import Path
from typing import Any

from pipeline.core.config import build
from pipeline.core.progress import Progress
from pipeline.evaluation.bench import Bench
from pipeline.evaluation.config import METRICS, EvaluateConfig
from pipeline.inference.loading import LoadedModel

LONG_CONTEXT = {
    "beyond": 64,
    "contexts": [128, 256],
    "domains": ["code"],
    "windows": 3,
    "needles": 3,
    "value_digits": 3,
}
SETTINGS = {
    "precision": "fp32",
    "attention": "sdpa",
    "batch_tokens": 65_536,
    "headline": "loss/mean",
    "loss": {"context": 64, "sequences_per_domain": 4},
    "long_context": LONG_CONTEXT,
    "text": None,
    "probes": None,
    "accuracy": {
        "environments": ["math", "science"],
        "problems_per_environment": 5,
        "splits": ["held_out", "instances"],
        "maximum_new_tokens": 4,
        "problems": {"difficulty": 1, "assistant": "Fivephase"},
        "batch_prompts": 4,
    },
}


def bench_of(loaded: LoadedModel, state: Path, tokens: Path | None = None, **part: Any) -> Bench:
    """A bench that measures a single part, `part` with its settings by name; nothing asks it for a headline."""
    changes = {"headline": METRICS[next(iter(part))][0], "loss": None, "long_context": None, "accuracy": None, **part}
    return Bench(
        where="suite=x",
        config=build(EvaluateConfig, SETTINGS | changes, ""),
        loaded=loaded,
        folder=state,
        tokens=tokens,
        tokenizer=None,
        seed=0,
        progress=Progress(None),
        state=state,
    )
