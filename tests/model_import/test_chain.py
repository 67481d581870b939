"""A stranger's Llama is fine-tuned, evaluated, rewarded and released like a model that was trained here."""

import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer, GraniteMoeConfig

from pipeline.core.artifact import load
from pipeline.core.context import StageContext
from pipeline.core.errors import EXIT_DONE, CheckpointError
from pipeline.evaluation import evaluate
from pipeline.inference.conversation_ids import to_messages
from pipeline.model_import import import_model
from pipeline.model_import.config import ImportModelConfig
from pipeline.posttraining.reward.scoring import load_reward_model, raw_scores
from pipeline.posttraining.sft import train
from pipeline.pretraining.model.architecture import check_reward_head
from pipeline.release import release
from tests.foreign import CONFIGS, MARKED, foreign_model, foreign_tokenizer, write_foreign
from tests.posttraining.tiny import EVAL_SAMPLING, PROBLEMS, TRAINING, write_data
from tests.runs import finished, freeze, outcome
from tests.settings import stage_config, stage_settings

SFT = {
    **TRAINING, "epochs": 1, "sequences_per_step": 16, "sequences_per_device": 8, "max_length": 192, "packing": False,
    "max_completion_length": 8, "probe": {**EVAL_SAMPLING, "prompts_per_domain": 1}, "problems": PROBLEMS,
    "text_replay": None,
}  # fmt: skip


def imported_into(run: Path, **tokenizer: Any) -> None:
    """Finishes the stage `import_model` of a run with an untied Llama."""
    folder = write_foreign(run.parent / f"llama of {run.name}", tokenizer=foreign_tokenizer(**tokenizer), tied=False)

    def write(partial: Path) -> None:
        rest = dict.fromkeys(("revision", "chat_template", "eos_token", "pad_token"))
        config = ImportModelConfig(path=str(folder), **rest)
        import_model.run(StageContext.for_test("import_model", config, {}, partial.parent))

    finished(run, "import_model", write)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fine_tuned_evaluated_and_released(tmp_path: Path) -> None:
    run = tmp_path / "a run"
    imported_into(run, chat_template=MARKED)
    finished(run, "sft_data", partial(write_data, tokenizer=run / "import_model" / "tokenizer"))
    stage = freeze(run, "sft", "sft", stage_settings("sft", **SFT), {"model": "import_model", "data": "sft_data"})
    code, said = outcome(stage)
    assert code == EXIT_DONE, said
    trained = load(stage)
    assert trained.manifest.before is not None
    assert trained.manifest.after is not None
    assert trained.manifest.after < trained.manifest.before
    accuracy = {
        **stage_settings("evaluate_sft")["accuracy"],
        "environments": ["math"],
        "problems_per_environment": 2,
        "maximum_new_tokens": 4,
    }
    others = dict.fromkeys(("loss", "probes"))
    config = stage_config("evaluate_sft", **others, accuracy=accuracy, headline="accuracy/math", precision="fp32")
    result = evaluate.run(StageContext.for_test("evaluate_sft", config, {"model": stage}, run / "evaluate_sft"))
    assert result.measure == "accuracy/math"
    config = stage_config("release", sample_environments=["math"], maximum_new_tokens=4, precision="fp32")
    context = StageContext.for_test("release", config, {"model": stage}, run / "release")
    release.run(context)
    folder = context.output / "model"
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert type(model).__name__ == "LlamaForCausalLM"
    assert tokenizer.chat_template == MARKED
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id == 1
    assert "import_model" in (folder / "README.md").read_text()


def test_fine_tuning_refuses_a_template_that_marks_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    imported_into(run, chat_template="{% for m in messages %}{{ m.content ~ eos_token }}{% endfor %}")
    finished(run, "sft_data", write_data)
    inputs = {"model": run / "import_model", "data": run / "sft_data"}
    context = StageContext.for_test("sft", stage_config("sft", **SFT), inputs, run / "sft")
    with pytest.raises(CheckpointError, match=f"{run}/import_model/checkpoint: its chat template marks nothing"):
        train.run(context)


@pytest.mark.parametrize("architecture", CONFIGS)
def test_every_architecture_gets_a_reward_head(architecture: str, tmp_path: Path) -> None:
    tokenizer = foreign_tokenizer(chat_template=MARKED)
    write_foreign(tmp_path, architecture, tokenizer)
    check_reward_head(foreign_model(architecture).config, "here")
    model = load_reward_model(tmp_path)
    model.config.pad_token_id = tokenizer.pad_token_id
    draw = random.Random(0)
    chats = [to_messages("Hi", "no " * draw.randint(1, 9)) for _ in range(4)]
    one = raw_scores(model, tokenizer, chats, 64, 1)
    assert len(set(one)) > 1
    assert raw_scores(model, tokenizer, chats, 64, 4) == pytest.approx(one, abs=1e-5)


def test_an_architecture_without_a_reward_head_is_named() -> None:
    with pytest.raises(CheckpointError, match="here: transformers has no sequence classifier for granitemoe, so no"):
        check_reward_head(GraniteMoeConfig(), "here")
