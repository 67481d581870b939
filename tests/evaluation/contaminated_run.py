"""The folder of a small run whose training data hold some of the prompts that its models were asked."""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow
from pyarrow import parquet

from pipeline.core.artifact import PARTIAL, Manifest, publish
from pipeline.environments.registry import Asked
from pipeline.evaluation.answers import Answer, write_answers

LONG = (
    "A train leaves the old station at noon and goes north at forty miles an hour while a second one leaves at two and "
    "goes south at fifty"
)
DOCUMENTS = ["The river runs to the sea.", f"{' '.join(LONG.split()[:20])} but is late."]
CONVERSATIONS = ["Work out 0 + 4.", "What is the capital of Peru?"]
RL_PROMPTS = ["Work out 7 + 7.", "Work out 7 + 7."]
ASKED: Sequence[tuple[str, Asked, str, float]] = (
    ("math", "held_out", "work out 0 + 4", 1.0),
    ("math", "held_out", "Work out 0 - 4.", 0.0),
    ("math", "held_out", LONG, 1.0),
    ("math", "held_out", "Work out 7 + 7.", 0.0),
    ("general_chat", "held_out", "Name a mountain.", 0.5),
    ("general_chat", "train", "What is the capital of Peru?", 1.0),
)
"""Domain, split, prompt and score of each answer."""


def make_contaminated_run(folder: Path) -> Path:
    """Makes the run, from documents to an evaluation after SFT and one after RL, and returns its folder."""
    publish_stage(folder, "curate", {}, write=_documents, counts={"in": 3, "kept": 2, "removed": 1})
    publish_stage(folder, "tokenize", {"corpus": "curate"})
    publish_stage(folder, "phase1", {"tokens": "tokenize"}, kind="pretrain")
    publish_stage(
        folder, "sft_data", {"tokenizer": "tokenize"}, write=_conversations, metrics={"conversations/train": 2.0}
    )
    publish_stage(folder, "sft", {"model": "phase1", "data": "sft_data"})
    publish_stage(folder, "rl_math", {"model": "sft"}, kind="rl", write=_completions)
    publish_evaluation(folder, "evaluate_sft", {"model": "sft"})
    publish_evaluation(folder, "evaluate_rl_math", {"model": "rl_math", "before": "evaluate_sft"})
    return folder


def publish_stage(
    folder: Path,
    stage: str,
    inputs: Mapping[str, str],
    kind: str | None = None,
    write: Callable[[Path], None] = lambda partial: None,
    metrics: Mapping[str, float] | None = None,
    counts: dict[str, int] | None = None,
) -> None:
    """Finishes a stage that reads others by role, with the files that `write` makes."""
    (folder / stage / PARTIAL).mkdir(parents=True)
    write(folder / stage / PARTIAL)
    read = {role: {"stage": each, "fingerprint": f"of {each}"} for role, each in inputs.items()}
    order = f"2026-01-01T00:00:{len(list(folder.glob('*/manifest.json'))):02d}+00:00"
    manifest = Manifest(
        stage=stage, kind=kind or stage, fingerprint=f"of {stage}", inputs=read, files={}, finished=order,
        metrics=dict(metrics or {}), counts=counts,
    )  # fmt: skip
    publish(folder / stage, manifest)


def publish_evaluation(folder: Path, stage: str, inputs: Mapping[str, str], last: float = 0.0) -> None:
    """Finishes an evaluation whose answers earn what `ASKED` says, the one about a mountain `last` more."""
    scores = [score + last * (prompt == "Name a mountain.") for _, _, prompt, score in ASKED]
    answers = [
        Answer(
            domain=domain, split=split, prompt=prompt, output="4", score=score, reason="", finished=True, in_format=True
        )
        for (domain, split, prompt, _), score in zip(ASKED, scores, strict=True)
    ]
    metrics = {"accuracy/math": 0.5, "accuracy/general_chat": scores[4], "accuracy/mean": (0.5 + scores[4]) / 2}
    publish_stage(
        folder, stage, inputs, kind="evaluate", write=lambda partial: write_answers(partial, answers), metrics=metrics
    )


def _documents(partial: Path) -> None:
    (partial / "documents" / "books").mkdir(parents=True)
    with gzip.open(partial / "documents" / "books" / "00000.jsonl.gz", "wt") as file:
        file.writelines(json.dumps({"id": str(number), "text": text}) + "\n" for number, text in enumerate(DOCUMENTS))
    # What was removed is no training data.
    (partial / "removed").mkdir()
    with gzip.open(partial / "removed" / "books.jsonl.gz", "wt") as file:
        file.write(json.dumps({"id": "3", "text": "Work out 0 - 4. Name a mountain."}) + "\n")


def _conversations(partial: Path) -> None:
    for name, prompts in (("train", CONVERSATIONS), ("validation", ["Name a mountain."])):
        with (partial / f"{name}.jsonl").open("w") as file:
            for prompt in prompts:
                turns = [{"role": "user", "content": prompt}, {"role": "assistant", "content": "Here it is."}]
                file.write(json.dumps({"messages": turns}) + "\n")


def _completions(partial: Path) -> None:
    (partial / "completions").mkdir()
    prompts = [[{"role": "user", "content": prompt}] for prompt in RL_PROMPTS]
    table = pyarrow.table({"prompt": prompts, "completion": ["14", "Name a mountain."]})
    parquet.write_table(table, partial / "completions" / "completions_00001.parquet")
