"""The pairs that a reward model trains on: opened as `sft_data` tokenized them, and named where they are too long."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from pipeline.core.errors import DataError
from pipeline.inference.conversation_ids import conversation_ids, to_messages
from pipeline.posttraining.data.jsonl import write_jsonl
from pipeline.posttraining.data.tokenized import write_tokens
from pipeline.posttraining.reward.tokenized_pairs import (
    held_out_short_enough,
    pair_tokens,
    say_too_long,
    short_enough,
)


def pair(question: str, rejected: str) -> dict[str, Any]:
    return {
        "prompt": to_messages(question),
        "chosen": [{"role": "assistant", "content": "Yes."}],
        "rejected": [{"role": "assistant", "content": rejected}],
    }


PAIRS = [pair("Is it?", "No."), pair("Is it so?", "No, " * 200), pair("And now?", "No.")]


@pytest.fixture
def data(tmp_path: Path, checkpoint: Path) -> Path:
    """The files of a finished `sft_data` with these pairs."""
    for name in ("train", "validation"):
        write_jsonl(tmp_path / f"{name}.jsonl", [{"messages": to_messages("Hi", "Hello.")}])
    write_jsonl(tmp_path / "preference_train.jsonl", PAIRS)
    write_tokens(tmp_path, checkpoint, workers=1)
    return tmp_path


def test_own_mistakes_take_the_place_of_pairs_and_are_tokenized_once(data: Path, checkpoint: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    own = data / "state" / "own.arrow"

    def tokens(replaced: list[dict[str, Any]]) -> list[list[int]]:
        found = pair_tokens(data, PAIRS, replaced, tokenizer, checkpoint, own)
        assert found["row"][:] == [0, 1, 2]
        return found["rejected_ids"][:]

    before = tokens(PAIRS)
    assert not own.exists()
    replaced = [{**PAIRS[0], "rejected": [{"role": "assistant", "content": "Maybe not."}]}, *PAIRS[1:]]
    after = tokens(replaced)
    assert after[1:] == before[1:]
    assert after[0] == conversation_ids(tokenizer, [*PAIRS[0]["prompt"], *replaced[0]["rejected"]]) != before[0]
    written = own.stat().st_mtime_ns
    assert tokens(replaced) == after
    assert own.stat().st_mtime_ns == written, "an attempt after an interruption tokenizes nothing"
    long, left_out = short_enough(pair_tokens(data, PAIRS, replaced, tokenizer, checkpoint, own), 64)
    assert long["rejected_ids"][:] == [after[0], after[2]]
    assert [each["row"] for each in left_out] == [2]


def test_pairs_that_are_too_long_are_counted_and_named(data: Path, checkpoint: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(checkpoint)
    tokens = pair_tokens(data, PAIRS, PAIRS, tokenizer, checkpoint, data / "own.arrow")
    kept, left_out = short_enough(tokens, 64)
    assert kept["chosen_ids"][:] == [tokens["chosen_ids"][0], tokens["chosen_ids"][2]]
    chosen, rejected = (len(tokens[f"{side}_ids"][1]) for side in ("chosen", "rejected"))
    assert left_out == [
        {"file": "preference_train.jsonl", "row": 2, "chosen_tokens": chosen, "rejected_tokens": rejected,
         "max_length": 64},
    ]  # fmt: skip
    assert say_too_long(left_out, 64) == (
        "1 pairs longer than max_length=64 tokens are left out, too_long.jsonl has all: "
        f"preference_train.jsonl row 2 ({chosen} and {rejected} tokens)"
    )
    held_out, also = held_out_short_enough("preference_validation", PAIRS, tokenizer, 64)
    assert held_out == [PAIRS[0], PAIRS[2]]
    assert also == [{**left_out[0], "file": "preference_validation.jsonl"}]
    assert short_enough(tokens, rejected)[1] == []
    for call in (
        lambda: short_enough(tokens, 4),
        lambda: held_out_short_enough("preference_validation", PAIRS, tokenizer, 4),
    ):
        with pytest.raises(DataError, match=r"of 3 preference pairs none has at most max_length=4 tokens"):
            call()
