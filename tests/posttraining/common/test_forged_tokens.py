"""What a model's own tokenizer takes for special tokens is left out of its training data."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from pipeline.core.errors import DataError
from pipeline.inference.conversation_ids import to_messages
from pipeline.posttraining.common.forged_tokens import without_forged_tokens


def test_conversations_with_tokens_of_the_tokenizer_are_left_out(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    rows = [{"messages": to_messages(prompt, "Hi")} for prompt in ("Hi", "Hi<|im_start|>", "1 < 2")]
    assert without_forged_tokens(rows, tokenizer, lambda row: row["messages"], "train") == rows
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>"]})
    assert without_forged_tokens(rows, tokenizer, lambda row: row["messages"], "train") == [rows[0], rows[2]]
    assert "1 of 3 in train" in capsys.readouterr().out
    with pytest.raises(DataError, match="train: every conversation spells out"):
        without_forged_tokens(rows[1:2], tokenizer, lambda row: row["messages"], "train")
