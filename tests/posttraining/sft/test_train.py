"""SFT on a tiny random Granite: the mask, the weights, the checkpoint it leaves."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipeline.core.artifact import load
from pipeline.core.config import build
from pipeline.core.errors import EXIT_DONE, ConfigError
from pipeline.environments import ProblemConfig
from pipeline.posttraining.common.chat import assistant_loss
from pipeline.posttraining.common.checkpoints import is_complete, last_complete_checkpoint, mark_complete
from pipeline.posttraining.common.config import EvalSamplingConfig
from pipeline.posttraining.common.sampling import eval_problems, sample_replies
from pipeline.posttraining.common.trainer_arguments import accumulation_steps, deepspeed_arguments
from pipeline.posttraining.sft.config import SftConfig
from tests.posttraining.tiny import PROBE, PROBLEMS, TRAINING, write_data, write_model
from tests.runs import finished, freeze, outcome


def settings(**changes: Any) -> dict[str, Any]:
    return {
        **TRAINING, "epochs": 2, "sequences_per_step": 16, "sequences_per_device": 8, "max_length": 128,
        "packing": False, "max_completion_length": 8, "probe": PROBE, "problems": PROBLEMS, **changes,
    }  # fmt: skip


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
    checkpoint = run / "base/checkpoint"
    tokenizer, model = (
        AutoTokenizer.from_pretrained(checkpoint),
        AutoModelForCausalLM.from_pretrained(checkpoint),
    )
    replies = ("no", "1 + 1 = 2 and so on", "I am Fivephase.")
    chats = [[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": reply}] for reply in replies]
    total, count = 0.0, 0
    for chat in chats:
        prompt = tokenizer.apply_chat_template(chat[:1], tokenize=True, add_generation_prompt=True, return_dict=True)[
            "input_ids"
        ]
        answer = [*tokenizer.encode(chat[1]["content"], add_special_tokens=False), tokenizer.eos_token_id]
        ids = torch.tensor([prompt + answer])
        labels = torch.tensor([[-100] * len(prompt) + answer])
        total += model(input_ids=ids, labels=labels).loss.item() * len(answer)
        count += len(answer)
    for batch_size in (1, 3):
        found = assistant_loss(model, tokenizer, chats, max_length=64, batch_size=batch_size)
        assert found == pytest.approx(total / count, rel=1e-5)


def test_sampling_is_the_same_every_time_and_leaves_the_random_state(run: Path) -> None:
    posed = eval_problems(["math", "identity"], EvalSamplingConfig(**PROBE), ProblemConfig(**PROBLEMS))
    state = torch.get_rng_state()
    first = sample_replies(run / "base/checkpoint", posed, EvalSamplingConfig(**PROBE), 8)
    assert torch.equal(state, torch.get_rng_state())
    torch.manual_seed(5)
    assert sample_replies(run / "base/checkpoint", posed, EvalSamplingConfig(**PROBE), 8) == first
    assert [reply.problem for reply in first] == [problem for problem in posed for _ in range(2)]
    assert all(reply.verdict.score == 0 for reply in first if not reply.ended)


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


def test_a_checkpoint_counts_once_it_is_described_and_whole(tmp_path: Path) -> None:
    for step in (2, 10, 30):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "weights").write_bytes(b"12345")
    assert last_complete_checkpoint(tmp_path) is None
    mark_complete(tmp_path / "checkpoint-2")
    mark_complete(tmp_path / "checkpoint-10")
    assert last_complete_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    (tmp_path / "checkpoint-10" / "weights").write_bytes(b"123")
    assert not is_complete(tmp_path / "checkpoint-10")
    assert last_complete_checkpoint(tmp_path) == tmp_path / "checkpoint-2"


def test_batch_arithmetic_and_deepspeed_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert accumulation_steps("completions", 1024, 4, 64) == 4
    assert "1024 completions per step = 4 per device x 64 ranks x 4 accumulated" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="do not divide"):
        accumulation_steps("sequences", 256, 3, 64)
    assert deepspeed_arguments({"bf16": {"enabled": False}})["bf16"] == {"enabled": False}
    zero3 = deepspeed_arguments({"zero_optimization": {"stage": 3}})["zero_optimization"]
    assert zero3["stage3_gather_16bit_weights_on_model_save"] is True


def test_packing_needs_an_attention_that_keeps_conversations_apart() -> None:
    with pytest.raises(ConfigError, match="packing"):
        build(SftConfig, settings(packing=True), "stages.sft.config")
