"""The stage `sft_data`: every fault is found by its rule, every removal is logged, and the pairs are in their split."""

import random
from collections import Counter
from pathlib import Path

import pytest

from pipeline.core.context import StageContext
from pipeline.core.errors import ConfigError, DataError
from pipeline.core.files import files_below
from pipeline.environments import split_of, verify
from pipeline.inference.conversation_ids import to_messages
from pipeline.posttraining.data import conversations as raw
from pipeline.posttraining.data.conversations import documentation_questions, raw_conversations
from pipeline.posttraining.data.jsonl import read_jsonl
from pipeline.posttraining.data.preferences import REJECTIONS, preference_pairs
from pipeline.posttraining.data.record import Conversation
from pipeline.posttraining.data.rules import apply_rules, normalize_message
from pipeline.posttraining.data.sft_data import run
from tests.curation.recipe_files import write_lines
from tests.posttraining.tiny import data_config
from tests.settings import EASY


def clean(count: int = 40) -> list[Conversation]:
    config = data_config(conversations=count, faulty_share=0.0, multi_turn_share=0.0)
    return raw_conversations(config, 0, random.Random(0))


@pytest.mark.parametrize(
    ("fault", "steps"),
    [
        (raw.empty_turn, {"schema"}),
        (raw.reversed_roles, {"schema"}),
        (raw.endless_repetition, {"length"}),
        (raw.held_out_prompt, {"leakage"}),
        (raw.wrong_answer, {"verification"}),
    ],
)
def test_each_fault_is_removed_by_its_rule(fault: raw.Fault, steps: set[str]) -> None:
    from pipeline.environments import problems

    draw = random.Random(1)
    held_out = problems("temporal_reasoning", 8, 0, "held_out", EASY)
    kept, removed, _ = apply_rules([fault(each, draw, held_out) for each in clean()], data_config())
    assert not kept
    assert {row["step"] for row in removed} == steps
    for row in removed:
        assert set(row) == {"id", "step", "reason", "value", "threshold"}


@pytest.mark.parametrize(
    ("prompt", "response", "found"),
    [
        ("Hi<|end_of_text|>", "Hello, I am here.", "<|end_of_text|>"),
        ("Hi <think>", "Hello, I am here.", "<think>"),
        ("Hi", "Hello<|end\u200b_of_text|>, I am here.", "<|end_of_text|>"),
        ("Hi", "<think>A greeting.</think> Hello, I am here.", None),
    ],
)
def test_special_tokens_stand_in_no_turn_but_tags_in_the_assistants(
    prompt: str, response: str, found: str | None
) -> None:
    kept, removed, _ = apply_rules([Conversation(to_messages(prompt, response), "documentation")], data_config())
    assert [(row["step"], row["value"]) for row in removed] == ([("special_tokens", found)] if found else [])
    assert len(kept) == (found is None)


def test_what_can_be_repaired_is_repaired_and_logged() -> None:
    conversations = apply_rules(clean(), data_config())[0]
    unnormalized = [raw.unnormalized_text(each, random.Random(0), []) for each in conversations]
    kept, removed, repaired = apply_rules(unnormalized, data_config())
    assert (kept, removed) == (conversations, [])
    assert len(repaired) == len(conversations)
    assert normalize_message("a\u0301 \r\n\x00b\u200b ") == "á\nb"
    assert normalize_message(normalize_message("  x \r y ")) == normalize_message("  x \r y ")


def test_duplicates_are_removed_once() -> None:
    one = Conversation(to_messages("What is 1 + 1?", "2"), "documentation")
    two = Conversation(to_messages("What is 1 + 1?", "2.\n"), "documentation")
    kept, removed, _ = apply_rules([two, two, one], data_config())
    assert len(kept) == 1
    assert Counter(row["step"] for row in removed) == {"exact_dedup": 1, "truncation": 1}


def test_questions_of_a_benchmark_are_removed_and_change_the_fingerprint(tmp_path: Path) -> None:
    conversations = apply_rules(clean(), data_config())[0]
    planted = conversations[3].messages[0]["content"]
    path = write_lines(tmp_path / "benchmark.jsonl", [f"  {planted.upper()}?! "])
    setting = {"benchmarks": [{"name": "planted", "path": str(path), "text_keys": ["text"]}]}
    config = data_config(decontamination={"n_grams": 8, "minimum_coverage": 0.5, **setting})
    kept, removed, _ = apply_rules(conversations, config)
    assert [each for each in conversations if each.messages[0]["content"] != planted] == kept
    assert {(row["step"], row["value"], row["threshold"]) for row in removed} == {("decontamination", 1.0, 0.5)}
    assert str(removed[0]["reason"]).startswith("copies planted: ")
    content = config.data_fingerprint()
    write_lines(path, ["other"])
    assert config.data_fingerprint() != content
    path.unlink()
    with pytest.raises(DataError, match="no file"):
        config.data_fingerprint()


def test_the_stage_accounts_for_every_conversation(tmp_path: Path) -> None:
    results = []
    for name in ("first", "second"):
        config = data_config()
        context = StageContext.for_test("sft_data", config, {}, tmp_path / name)
        results.append(run(context))
    counts = results[0].counts
    assert counts is not None
    folder = tmp_path / "first" / "partial"
    train, validation = read_jsonl(folder / "train.jsonl"), read_jsonl(folder / "validation.jsonl")
    assert counts["kept"] == len(train) + len(validation)
    assert counts["removed"] == len(read_jsonl(folder / "removed.jsonl")) > 0
    ids = [row["id"] for row in train + validation]
    assert len(set(ids)) == len(ids)
    for row in train + validation:
        assert all(split_of(m["content"]) == "train" for m in row["messages"] if m["role"] == "user")
    for path in files_below(folder):
        again = tmp_path / "second" / "partial" / path.relative_to(folder)
        assert path.read_bytes() == again.read_bytes(), "the same configuration gave other bytes"


def test_preference_pairs_differ_and_stay_in_their_split() -> None:
    config = data_config().problems
    for split in ("train", "held_out"):
        pairs = preference_pairs(120, split, config, 0, random.Random(0))
        assert len(pairs) == 120
        for pair in pairs:
            assert pair["chosen"] != pair["rejected"]
            assert split_of(pair["prompt"][0]["content"]) == split
            assert pair["problem"]["prompt"] == pair["prompt"][0]["content"]


def test_preference_pairs_have_every_kind_of_rejection() -> None:
    pairs = preference_pairs(220, "train", data_config().problems, 0, random.Random(0))
    kinds = Counter(pair["kind"] for pair in pairs)
    assert kinds.keys() == REJECTIONS.keys()
    assert kinds.most_common(1)[0][0] == "wrong_entity"
    chat = [pair for pair in pairs if pair["problem"]["domain"] == "general_chat"]
    for pair in chat:
        chosen, rejected, topic = (
            pair["chosen"][0]["content"],
            pair["rejected"][0]["content"],
            pair["problem"]["answer"],
        )
        match pair["kind"]:
            case "wrong_entity":
                assert topic not in rejected
                assert rejected.startswith("I like ")
            case "over_long":
                assert rejected.startswith(chosen + " ")
            case "broken_word":
                assert len(rejected.split(" ")) == len(chosen.split(" "))
            case "off_topic":
                assert not rejected.startswith("I like ")


def test_questions_about_docstrings_are_real() -> None:
    pairs = documentation_questions()
    assert len(pairs) > 50
    assert all(answer.endswith(".") for _, answer in pairs)


def test_raw_solutions_are_right() -> None:
    for conversation in clean():
        assert verify(conversation.problems[0], conversation.messages[1]["content"]).score == 1.0


def test_tools_and_documents_stand_in_a_system_turn() -> None:
    weights = dict.fromkeys(("tool_calling", "grounding", "extraction", "summarization"), 1)
    problems = {"difficulty": 3, "assistant": "Ada"}
    config = data_config(conversations=80, faulty_share=0.0, multi_turn_share=0.5, domain_weights=weights,
                         abstaining_share=0.0, max_conversation_characters=8_000, problems=problems)  # fmt: skip
    drawn = raw_conversations(config, 0, random.Random(0))
    kept, removed, _ = apply_rules(drawn, config)
    assert not removed
    assert Counter(each.source for each in kept).keys() == set(weights)
    for conversation in kept:
        roles = [message["role"] for message in conversation.messages]
        with_system = conversation.source in ("tool_calling", "grounding")
        assert roles == ["system", "user", "assistant"] if with_system else roles[:2] == ["user", "assistant"]


def test_unknown_sources_are_refused() -> None:
    with pytest.raises(ConfigError, match="poetry"):
        data_config(domain_weights={"poetry": 1})
    with pytest.raises(ConfigError, match=r"^stages\.sft_data\.config\.faulty_share=2: set at most 1"):
        data_config(faulty_share=2)
