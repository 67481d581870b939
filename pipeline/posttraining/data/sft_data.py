"""The stage `sft_data`: conversations that passed the rules, and preference pairs for the reward model."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.core.context import StageContext, StageResult
from pipeline.core.errors import Requeue
from pipeline.core.files import read_json
from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.recipes.steps.duplicates import MinHash
from pipeline.posttraining.common.row_recipes import load_row_recipes
from pipeline.posttraining.data.config import SftDataConfig
from pipeline.posttraining.data.duplicates import (
    Buckets,
    DropCopies,
    find_copies,
    minhash_step,
    without_near_duplicates,
)
from pipeline.posttraining.data.judge.step import judge_parts
from pipeline.posttraining.data.outcome import Written, write_conversations, write_report
from pipeline.posttraining.data.pairs import ReadPairs, write_pairs
from pipeline.posttraining.data.read import ReadAndCheck
from pipeline.posttraining.data.shares import within_shares
from pipeline.posttraining.data.sources import check_bad_share, conversation_parts, preference_parts
from pipeline.posttraining.data.tokenized import write_tokens
from pipeline.posttraining.data.workspace import JUDGE, RULES, Part, Workspace, do, new_audit


def run(context: StageContext[SftDataConfig]) -> StageResult:
    """Reads, checks and compares the records of all sources, and writes them as JSON lines.

    `train.jsonl` and `validation.jsonl` hold the conversations that were kept, in the order of the sources;
    `removed.jsonl`, `repaired.jsonl` and `quarantine.jsonl` say what was done to the others, `judged.jsonl` holds the
    verdict on each that a judge was asked about, and `report.json` and
    `disclosure.json` what became of each source. `preference_train.jsonl` and `preference_validation.jsonl` hold the
    pairs, the latter on held-out prompts. Of what the generators make, the id decides what is held back for
    validation, of what comes from elsewhere the first question. `tokens` holds what is trained on, and the validation's
    conversations, as the input `tokenizer` encodes them, and `left_out.jsonl` says which it cannot.

    Raises:
        CheckpointError: for a tokenizer whose chat template does not train on the assistant's turns and their ends.
        DataError: if no conversation is left to train on or to validate with, a file cannot be read, or too much of a
            source is no record.
        RecipeError: for a recipe that cannot be used.
        Requeue: after a stop signal; what is done stays done.
        UserError: for a judge that cannot be asked, or fails too often.
    """
    judged = context.config.judge is not None
    workspace, audit = Workspace(context.state / "work", judged), new_audit()
    parts = conversation_parts(context.config)
    if closed := context.config.closed_verifiers():
        print("verifiers that remove nothing:", ", ".join(f"{name} ({why})" for name, why in sorted(closed.items())))
    read_and_check(context, workspace, parts)
    judge = judge_parts(context, workspace, parts)
    step = drop_copies(context, workspace, parts)
    count_tasks(audit, workspace, parts)
    kept = without_near_duplicates(workspace, parts, step, audit)
    kept = within_shares(kept, most_of_domains(context.config), workspace, audit)
    written = write_conversations(context, kept)
    pairs = make_pairs(context, workspace)
    tokens = tokenize(context, sum(written.splits.values()) + pairs["train"])
    aside = write_report(context, workspace, parts, audit, written)
    return _result(audit, written, pairs, judge | tokens, aside)


def read_and_check(context: StageContext[SftDataConfig], workspace: Workspace, parts: Sequence[Part]) -> None:
    """Turns the rows of all parts into records, and keeps those that pass the rules.

    Raises:
        DataError: if too much of a source is no record.
    """
    config = context.config
    do(context, "read", [ReadAndCheck(part, workspace, config, context.seed, context.stage) for part in parts])
    check_bad_share(workspace, parts, config)


def drop_copies(context: StageContext[SftDataConfig], workspace: Workspace, parts: Sequence[Part]) -> MinHash | None:
    """Drops the records of all parts that equal an earlier one, and finds candidates for near duplicates.

    Returns:
        The step that made the candidates; None if there is nothing to compare.
    """
    step = minhash_step(context.config.near_duplicates) if any(part.compared for part in parts) else None
    find_copies(workspace, parts)
    do(context, "exact duplicates", [DropCopies(part, workspace, step) for part in parts])
    if step is not None:
        do(context, "buckets", [Buckets(number, len(parts), workspace) for number in range(step.buckets)])
    return step


def count_tasks(audit: AuditLog, workspace: Workspace, parts: Sequence[Part]) -> None:
    """Adds what the tasks of the steps counted to the stage's account."""
    for task in ("read", JUDGE, "unique") if workspace.judged else ("read", "unique"):
        for part in parts:
            audit.merge(read_json(workspace.counts(f"{task}-{part.number:05d}")))
    if not workspace.judged:
        audit.counts.pop(JUDGE)


def most_of_domains(config: SftDataConfig) -> dict[str, int]:
    """How many records of a domain are kept at most, for each that has a share of the stage's `samples`."""
    if config.samples is None:
        return {}
    recipes = [recipe for recipe, _ in load_row_recipes(config.recipes, "conversations")]
    return {each.domain: round(each.share * config.samples) for each in recipes if each.share is not None}


def tokenize(context: StageContext[SftDataConfig], rows: int) -> dict[str, float]:
    """Tokenizes the conversations and pairs that were written, and returns the metrics of that.

    Raises:
        Requeue: after a stop signal; tokenization begins anew.
    """

    def advance(rows: int) -> None:
        context.progress.advance(rows)
        if context.stop_requested():
            raise Requeue(f"{context.stage}: stopped while it tokenized")

    context.progress.start(rows, "conversations and pairs", "tokenize")
    folder = context.inputs["tokenizer"].directory / "tokenizer"
    return write_tokens(context.output, folder, context.config.workers, advance)


def make_pairs(context: StageContext[SftDataConfig], workspace: Workspace) -> dict[str, int]:
    """Reads and writes the preference pairs, and returns how many each split has, by `train` and `held_out`."""
    parts = preference_parts(context.config)
    do(context, "preferences", [ReadPairs(part, workspace, context.config) for part in parts])
    return write_pairs(context, workspace, parts)


def _result(
    audit: AuditLog, written: Written, pairs: dict[str, int], judge: dict[str, float], aside: int
) -> StageResult:
    steps = {step["step"]: step for step in audit.funnel()}
    into, kept = next(iter(steps.values()))["in"], sum(written.splits.values())
    reasons = {name: step["removed"] for name, step in steps.items() if name != RULES} | steps[RULES]["reasons"]
    metrics = {f"removed/{reason}": float(count) for reason, count in sorted(reasons.items()) if count}
    metrics |= {
        "conversations/train": float(written.splits["train"]),
        "conversations/validation": float(written.splits["validation"]),
        "conversations/repaired": float(steps[RULES]["edited"]),
        "preference_pairs/train": float(pairs["train"]),
        "preference_pairs/validation": float(pairs["held_out"]),
        **judge,
        **({"rows_set_aside": float(aside)} if aside else {}),
    }
    counts = {"in": into, "kept": kept, "removed": into - kept}
    return StageResult(metrics=metrics, counts=counts, samples=written.samples)
