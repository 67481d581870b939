"""The same prompts, answered by every checkpoint that was asked."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.reporting.blocks import Block, Missing, Section, Table, Text
from pipeline.reporting.run_data import TRAINS, RunData, StageData
from pipeline.reporting.sections.evaluation import measured_stage

PROMPTS_SHOWN = 4
ROWS_READ = 2_000
"""Of `samples.jsonl` of an evaluation."""


def checkpoints(run: RunData) -> Section:
    """Some prompts that most checkpoints were asked, each with the answers side by side."""
    answers: dict[str, dict[str, tuple[str, str]]] = {}
    domains: dict[str, str] = {}
    asked: list[str] = []
    for stage in run.done_of("evaluate"):
        for domain, prompt, answer, score in _samples(stage):
            answers.setdefault(prompt, {})[measured_stage(stage)] = (answer, score)
            domains.setdefault(prompt, domain)
            if measured_stage(stage) not in asked:
                asked.append(measured_stage(stage))
    if not answers:
        why = Missing("No finished evaluation kept answers: nothing can be laid side by side.")
        return Section("checkpoints", "One prompt, all checkpoints", [why])
    blocks: list[Block] = []
    for prompt in _chosen(answers, domains):
        rows = [(stage, *answers[prompt].get(stage, ("(not asked)", ""))) for stage in asked]
        caption = f"Prompt{f' of {domains[prompt]}' if domains[prompt] else ''}: {prompt}"
        blocks.append(Table(caption, ("checkpoint", "answer", "score"), rows, numbers_from=3, texts=True))
    silent = [stage.name for stage in run.of(*TRAINS) if stage.name not in asked]
    if silent:
        blocks.append(Text(f"Not asked for answers: {', '.join(silent)}."))
    return Section("checkpoints", "One prompt, all checkpoints", blocks)


def _samples(stage: StageData) -> Iterator[tuple[str, str, str, str]]:
    """Domain, prompt, answer and score of what an evaluation kept: `samples.jsonl`, else those in its manifest."""
    rows = stage.lines("samples.jsonl", ROWS_READ) or (stage.manifest.samples if stage.manifest else [])
    for row in rows:
        prompt = row.get("prompt")
        if prompt is None:
            continue
        answer = next((row[name] for name in ("answer", "output", "completion") if name in row), "")
        reason = f" ({row['reason']})" if row.get("reason") else ""
        score = f"{row['score']}{reason}" if "score" in row else str(row.get("verdict", ""))
        domain = str(row.get("domain") or row.get("environment") or "")
        yield domain, str(prompt), str(answer), score


def _chosen(answers: dict[str, dict[str, tuple[str, str]]], domains: dict[str, str]) -> list[str]:
    """The prompts that most checkpoints were asked, of different domains where there are several."""
    by_asked = sorted(answers, key=lambda prompt: -len(answers[prompt]))
    first = list({domains[prompt]: prompt for prompt in reversed(by_asked)}.values())
    ordered = sorted(first, key=by_asked.index) + [prompt for prompt in by_asked if prompt not in first]
    return ordered[:PROMPTS_SHOWN]
