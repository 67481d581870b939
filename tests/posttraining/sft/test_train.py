"""SFT on a tiny random Granite: the mask, the weights, the checkpoint it leaves."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipeline.core.artifact import load
from pipeline.core.errors import EXIT_DONE, ConfigError
from pipeline.inference.conversation_ids import to_messages
from pipeline.inference.loading import load_model
from pipeline.inference.masked_conversation import ConversationEncoder
from pipeline.posttraining.data.tokenized import open_tokens
from pipeline.posttraining.sft.held_out_loss import assistant_loss
from tests.posttraining.sft.settings import settings
from tests.posttraining.tiny import write_data, write_model
from tests.runs import finished, freeze, outcome
from tests.settings import stage_config


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sft") / "run"
    finished(directory, "base", write_model)
    finished(directory, "sft_data", write_data)
    return directory


def test_the_mask_covers_the_assistants_turn_and_its_end(run: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(run / "base/checkpoint")
    messages = [
        {"role": "user", "content": "What is 1 + 1?"},
        {"role": "assistant", "content": "1 + 1 = 2"},
        {"role": "user", "content": "Who are you?"},
        {"role": "assistant", "content": "I am Fivephase."},
    ]
    encoded = tokenizer.apply_chat_template(
        messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    pairs = zip(encoded["input_ids"], encoded["assistant_masks"], strict=True)
    trained = [token for token, mask in pairs if mask]
    assert tokenizer.decode(trained) == "1 + 1 = 2<|end_of_text|>I am Fivephase.<|end_of_text|>"


def test_the_held_out_loss_is_a_mean_over_tokens(run: Path) -> None:
    loaded = load_model(run / "base/checkpoint")
    tokenizer: Any = loaded.tokenizer
    chats = [to_messages("Hi", response) for response in ("no", "1 + 1 = 2 and so on", "I am Fivephase.")]
    total, count = 0.0, 0
    for chat in chats:
        prompt = tokenizer.apply_chat_template(chat[:1], tokenize=True, add_generation_prompt=True, return_dict=True)[
            "input_ids"
        ]
        answer = [*tokenizer.encode(chat[1]["content"], add_special_tokens=False), tokenizer.eos_token_id]
        ids = torch.tensor([prompt + answer])
        labels = torch.tensor([[-100] * len(prompt) + answer])
        total += loaded.model(input_ids=ids, labels=labels).loss.item() * len(answer)
        count += len(answer)
    encoder = ConversationEncoder(tokenizer)
    rows = []
    for chat in chats:
        encoded = encoder.encode(chat)
        labels = [token if trained else -100 for token, trained in zip(encoded.ids, encoded.trained, strict=True)]
        rows.append({"input_ids": encoded.ids, "labels": labels})
    for batch_size in (1, 3):
        found = assistant_loss(loaded, rows, batch_size)
        assert found == pytest.approx(total / count, rel=1e-5)


def test_sft_trains_every_weight_and_leaves_a_plain_checkpoint(run: Path) -> None:
    stage = freeze(run, "sft", "sft", settings(), {"model": "base", "data": "sft_data"})
    code, said = outcome(stage)
    assert code == EXIT_DONE, said
    manifest = load(stage).manifest
    assert manifest.before is not None
    assert manifest.after is not None
    assert manifest.after < manifest.before
    assert manifest.tokens > 0
    before = AutoModelForCausalLM.from_pretrained(run / "base/checkpoint").state_dict()
    after = AutoModelForCausalLM.from_pretrained(stage / "checkpoint").state_dict()
    assert before.keys() == after.keys()
    assert [name for name in before if torch.equal(before[name], after[name])] == []
    names = {path.name for path in (stage / "checkpoint").iterdir()}
    assert names == {
        "model.safetensors",
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
    }
    assert AutoTokenizer.from_pretrained(stage / "checkpoint").chat_template


def test_packing_needs_an_attention_that_keeps_conversations_apart() -> None:
    with pytest.raises(ConfigError, match="attention='paged': input should be 'sdpa', 'eager', 'flex_attention'"):
        stage_config("sft", **settings(packing=True, attention="paged"))


def test_calls_of_tools_are_trained_on_and_tools_are_shown(run: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(run / "base/checkpoint")
    tokens = open_tokens(run / "sft_data", "train", tokenizer, run / "base/checkpoint")
    row = tokens[len(tokens) - 1]
    pairs = list(zip(row["input_ids"], row["assistant_masks"], strict=True))
    trained = tokenizer.decode([token for token, mask in pairs if mask])
    call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Rome"}}\n</tool_call>'
    assert trained == f"{call}<|end_of_text|>Yes.<|end_of_text|>"
    shown = tokenizer.decode([token for token, mask in pairs if not mask])
    assert "<tool_response>\n31" in shown
    assert '{"name": "weather"}\n</tools>' in shown
