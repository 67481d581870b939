"""The judge as a step of `sft_data`, between the rules and the comparison of all records with each other."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
from datatrove.data import Document

from pipeline.core.arrays import write_array
from pipeline.core.context import StageContext
from pipeline.core.files import read_json, write_json
from pipeline.curation.audit.filter_result import Removal
from pipeline.curation.text import documents
from pipeline.posttraining.data.config import SftDataConfig
from pipeline.posttraining.data.jsonl import append_jsonl, write_jsonl
from pipeline.posttraining.data.judge.config import JudgeConfig
from pipeline.posttraining.data.judge.judge import Judge
from pipeline.posttraining.data.judge.verdict import Decision
from pipeline.posttraining.data.record import Conversation
from pipeline.posttraining.data.rules import Violation
from pipeline.posttraining.data.workspace import JUDGE, RULES, Part, Workspace, new_audit

BATCH = 4_096
"""Conversations that are judged together: enough that the last ones of a batch leave few requests idle."""


def judge_parts(context: StageContext[SftDataConfig], workspace: Workspace, parts: Sequence[Part]) -> dict[str, float]:
    """Judges the records that passed the rules, and says in one line what the judge may do.

    Every verdict is a row. A part that an attempt before this one has judged stays as it is, also where the server did
    not answer then.

    Returns:
        conversations by decision, requests and tokens, and whether the judge gates, for the manifest.

    Raises:
        Requeue: after a stop signal; the verdicts so far are in the cache.
        UserError: for a rubric or a calibration that cannot be used, a server that cannot be asked or fails too often.
    """
    config, progress = context.config.judge, context.progress
    if config is None:
        print("judge: none, the rules alone decide (judge=endpoint sets one)")
        return {"judge/judged": 0.0, "judge/gates": 0.0}

    def show() -> None:
        progress.note(tokens=judge.client.tokens, failed=judge.client.failed)
        progress.advance()

    outcomes: Counter[str] = Counter()
    with Judge(config, context.stop_requested, show) as judge:
        why = judge.gate.why
        print(f"judge: {why if judge.gate.open else f'its verdicts are recorded and remove nothing: {why}'}")
        total = sum(read_json(workspace.counts(f"read-{part.number:05d}"))["counts"][RULES]["kept"] for part in parts)
        progress.start(total, "conversations", "judge")
        for part in parts:
            outcomes.update(_JudgedPart(part.number, workspace, config, judge).done())
        judge.client.check_failures()
    return {
        "judge/judged": float(total),
        "judge/gates": float(judge.gate.open),
        **{f"judge/{name}": float(count) for name, count in sorted(outcomes.items())},
    }


@dataclass(frozen=True)
class _JudgedPart:
    """The files of a part after the judge."""

    number: int
    workspace: Workspace
    config: JudgeConfig
    judge: Judge

    def done(self) -> Counter[str]:
        """Judges the part if no attempt has; returns its conversations by outcome, its requests and its tokens."""
        path, client = self.workspace.counts(f"{JUDGE}-{self.number:05d}.outcomes"), self.judge.client
        if path.exists():
            found = Counter(read_json(path))
            # What an attempt before this one spent counts against the budget.
            client.tokens += found["tokens"]
            return found
        before = Counter(client.counts())
        outcomes = self._write()
        outcomes.update({name: count - before[name] for name, count in client.counts().items()})
        # Last: it says that the part is done.
        write_json(path, outcomes)
        return outcomes

    def _write(self) -> Counter[str]:
        """Writes the records that stay, their ids, the rows of verdicts and removals, and counts; returns outcomes."""
        task, workspace, audit = f"{JUDGE}-{self.number:05d}", self.workspace, new_audit()
        verdicts = workspace.log("judged", task)
        verdicts.unlink(missing_ok=True)
        removed: list[dict[str, Any]] = []
        stay: list[bool] = []
        outcomes: Counter[str] = Counter()

        def passed() -> Iterator[Document]:
            for document, decision in self._decisions(verdicts):
                outcomes[decision.outcome] += 1
                stay.append(not decision.removed)
                if not decision.removed:
                    audit.keep(JUDGE, len(document.text), len(document.text))
                    yield document
                    continue
                violation = violation_of(decision, self.config)
                audit.remove(JUDGE, document, _removal(violation))
                source = {"source": document.metadata["source"]}
                removed.append({**audit.rows.pop(), **violation.log_row(str(document.id)), **source})

        documents.write_documents(workspace.passed(self.number), passed())
        write_array(workspace.passed_ids(self.number), numpy.load(workspace.ids(self.number))[numpy.array(stay, bool)])
        write_jsonl(workspace.log("removed", task), removed)
        write_json(workspace.counts(task), audit.as_json())
        return outcomes

    def _decisions(self, verdicts: Path) -> Iterator[tuple[Document, Decision]]:
        checked = documents.read_documents(self.workspace.checked(self.number))
        while batch := list(itertools.islice(checked, BATCH)):
            decisions = self.judge.decide([_conversation(each) for each in batch])
            append_jsonl(verdicts, (each.log_row() for each in decisions))
            yield from zip(batch, decisions, strict=True)


def _conversation(document: Document) -> Conversation:
    row = document.metadata["row"]
    given = {key: row[key] for key in ("tools", "documents", "language") if key in row}
    return Conversation(row["messages"], row["source"], **given)


def violation_of(decision: Decision, config: JudgeConfig) -> Violation:
    """What a conversation that the judge removes violates: a flag with its evidence, or the limit of the score."""
    for name in config.hard_rejects:
        if name in decision.flags:
            return Violation(JUDGE, name, decision.flags[name], "none")
    if decision.score is None:
        return Violation(JUDGE, decision.outcome, decision.failure, "a verdict")
    limit = config.accept if decision.outcome == "borderline" else config.reject
    return Violation(JUDGE, decision.outcome, decision.score, limit)


def _removal(violation: Violation) -> Removal:
    """A violation as the audit counts it, with the score and its limit where these decided."""
    value, threshold = violation.value, violation.threshold
    if isinstance(value, float) and isinstance(threshold, float):
        return Removal(reason=violation.reason, value=value, threshold=threshold)
    return Removal(reason=violation.reason)
