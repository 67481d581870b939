"""Phases continue models of other architectures: from their weights alone, in their shape, with one learning rate."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, PreTrainedConfig

from pipeline.core.artifact import load
from pipeline.core.config import build
from pipeline.core.context import StageContext
from pipeline.core.errors import EXIT_DONE, EXIT_USER_ERROR, CheckpointError, ConfigError
from pipeline.core.files import read_json, write_json
from pipeline.model_import import import_model
from pipeline.model_import.config import ImportModelConfig
from pipeline.pretraining.config import PhaseConfig
from pipeline.pretraining.data.stream import IGNORE_INDEX
from pipeline.pretraining.engine.learning_rate import parameter_groups
from pipeline.pretraining.engine.logits_check import reference_tokens
from pipeline.pretraining.model.model import TrainingModel, continued_config
from tests.foreign import CONFIGS, foreign_model, write_foreign
from tests.runs import VOCABULARY, finished, freeze, outcome, phase_settings, write_phase_inputs, write_tokenizer

ROWS = VOCABULARY + 8
"""Embeddings of the imported model: more than its tokenizer has ids."""
SETTINGS = phase_settings(model=None, rope_theta=None, tokens=40 * 8 * 16)
INPUTS = {"tokens": "tokens", "tokenizer": "import_model", "model": "import_model"}


def continued(**changes: Any) -> PhaseConfig:
    return build(PhaseConfig, phase_settings(**{"model": None, "rope_theta": None, **changes}), "phase")


def untied_llama(output: Path) -> None:
    """The artifact of an import, with the tokenizer that `write_phase_inputs` has tokens of."""
    folder = output.parent.parent.parent / "llama"
    write_tokenizer(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
    write_foreign(folder, "llama", tokenizer, tied=False, vocab_size=ROWS)
    rest = dict.fromkeys(("revision", "chat_template", "eos_token", "pad_token"))
    context = StageContext.for_test("import_model", ImportModelConfig(path=str(folder), **rest), {}, output.parent)
    import_model.run(context)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("imported") / "run"
    write_phase_inputs(directory)
    finished(directory, "import_model", untied_llama)
    return directory


@pytest.fixture(scope="module")
def first_phase(run: Path) -> tuple[Path, str]:
    """The folder of the phase that continues the import, and what it said."""
    stage = freeze(run, "phase1", "pretrain", SETTINGS, INPUTS)
    code, said = outcome(stage)
    assert code == EXIT_DONE, said
    return stage, said


def test_a_phase_continues_the_weights_of_another_architecture(first_phase: tuple[Path, str]) -> None:
    first, said = first_phase
    assert "an imported model has no optimizer state" in said
    manifest = load(first).manifest
    assert manifest.before is not None
    assert manifest.after is not None
    assert manifest.after < 0.8 * manifest.before
    model: Any = AutoModelForCausalLM.from_pretrained(first / "checkpoint")
    assert type(model).__name__ == "LlamaForCausalLM"
    assert model.lm_head.weight is not model.model.embed_tokens.weight
    progress = read_json(first / "training_state/progress.json")
    tokens, ids = reference_tokens(ROWS)
    torch.testing.assert_close(model(tokens).logits[0, -1, ids], torch.tensor(progress["logits"]))
    assert (progress["adam_step"], progress["tokens"]) == (40, 40 * 8 * 16)


@pytest.mark.slow
@pytest.mark.usefixtures("first_phase")
def test_another_phase_continues_it_with_more_context(run: Path) -> None:
    """On another ZeRO stage, with another rotary base, merged with the phase before."""
    longer = {**SETTINGS, "context": 32, "sequences_per_rank": 2, "rope_theta": 50_000.0, "merge": {"weights": [0.5]}}
    longer |= {"tokens": 20 * 8 * 32, "deepspeed": {"zero_optimization": {"stage": 3}}}
    second = freeze(run, "phase2", "pretrain", longer, {**INPUTS, "model": "phase1"})
    code, said = outcome(second)
    assert code == EXIT_DONE, said
    assert "no optimizer state" not in said
    config = read_json(second / "checkpoint/config.json")
    assert config["rope_parameters"]["rope_theta"] == 50_000.0
    assert config["max_position_embeddings"] == 512
    assert read_json(second / "training_state/progress.json")["adam_step"] == 60


@pytest.mark.slow
def test_weights_that_are_not_those_imported_are_refused(run: Path) -> None:
    """The logits that the import stored are those of the loaded model, or the phase does not begin."""
    folder = run / "import_model"
    facts = read_json(folder / "imported.json")
    changed = run / "changed"
    finished(changed, "tokens", lambda partial: (partial / "tokens").symlink_to(run / "tokens/tokens"))
    finished(changed, "tokenizer", lambda partial: (partial / "tokenizer").symlink_to(run / "tokenizer/tokenizer"))

    def write(partial: Path) -> None:
        (partial / "checkpoint").symlink_to(folder / "checkpoint")
        write_json(partial / "imported.json", {**facts, "logits": [each + 0.1 for each in facts["logits"]]})

    finished(changed, "import_model", write)
    stage = freeze(changed, "phase1", "pretrain", SETTINGS, {**INPUTS, "tokenizer": "tokenizer"})
    code, said = outcome(stage)
    assert code == EXIT_USER_ERROR, said
    assert "the loaded model differs by" in said


@pytest.mark.parametrize("architecture", CONFIGS)
def test_loss_and_gradients_are_the_models_own(architecture: str) -> None:
    """Of two documents in a sequence, held against transformers' logits of each document alone."""
    tokens = torch.randint(400, (1, 12), generator=torch.Generator().manual_seed(0))
    positions = torch.tensor([[*range(5), *range(7)]])
    labels = torch.cat([tokens[:, 1:], torch.full((1, 1), IGNORE_INDEX)], dim=1)
    labels[0, 4] = IGNORE_INDEX
    reference = foreign_model(architecture, tied=False)
    logits = torch.cat([reference(tokens[:, :5]).logits, reference(tokens[:, 5:]).logits], dim=1)
    expected = functional.cross_entropy(logits[0], labels[0], ignore_index=IGNORE_INDEX, reduction="sum")
    expected.backward()
    trained = TrainingModel(foreign_model(architecture, tied=False), chunk_tokens=4)
    loss, _ = trained(tokens, positions, labels)
    loss.backward()
    torch.testing.assert_close(loss, expected)
    gradients = {name: each.grad for name, each in reference.named_parameters()}
    for name, each in trained.model.named_parameters():
        torch.testing.assert_close(each.grad, gradients[name], rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize(("architecture", "multiplier"), [("qwen2", 1.0), ("qwen3", 1.0), ("granite", 0.25)])
def test_the_architecture_chooses_parameter_groups_and_shape(architecture: str, multiplier: float) -> None:
    """One learning rate for all, or µP's by what a Granite divides its logits by; norms and biases never decay."""
    model = foreign_model(architecture)
    phase, config = continued_config(continued(), model.config, "here")
    assert config.rope_parameters == model.config.rope_parameters
    assert phase.shape.parameters == sum(each.numel() for each in model.parameters())
    assert (phase.shape.head_size, phase.shape.layers, phase.shape.vocab_size) == (16, 2, 400)
    matrices, embeddings, norms = parameter_groups(model, phase.shape, phase.optimizer)
    assert [each["rate_multiplier"] for each in (matrices, embeddings, norms)] == [multiplier, 1.0, 1.0]
    assert [each["weight_decay"] for each in (matrices, embeddings, norms)] == [0.1, 0.1, 0.0]
    assert {each.ndim for each in norms["params"]} == {1}
    assert sum(len(each["params"]) for each in (matrices, embeddings, norms)) == len(list(model.parameters()))


@pytest.mark.parametrize(
    ("config", "changes", "error", "message"),
    [
        (GPT2Config(vocab_size=64, n_embd=32, n_layer=1, n_head=2), {}, CheckpointError, "phases train granite, "),
        (foreign_model("llama").config, {"context": 1024}, ConfigError, "reaches 512; set rope_theta"),
        (foreign_model("mistral").config, {"sequence_parallel": 2}, ConfigError, "sliding windows"),
        (foreign_model("llama").config, {"sequence_parallel": 4}, ConfigError, "divisor of model.key_value_heads"),
    ],
)
def test_what_a_checkpoint_rules_out_is_named(
    config: PreTrainedConfig, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        continued_config(continued(**changes), config, "here")


def test_rope_theta_is_raised_and_the_rest_of_the_rotary_embedding_kept() -> None:
    scaled = {"rope_type": "llama3", "rope_theta": 10_000.0, "factor": 8.0, "low_freq_factor": 1.0,
              "high_freq_factor": 4.0, "original_max_position_embeddings": 64}  # fmt: skip
    found = foreign_model("llama", rope_parameters=scaled).config
    _, config = continued_config(continued(context=1024, rope_theta=500_000.0), found, "here")
    assert config.rope_parameters == {**scaled, "rope_theta": 500_000.0}
    assert config.max_position_embeddings == 1024


def test_a_shape_is_given_or_taken_whole() -> None:
    with pytest.raises(ConfigError, match=r"rope_theta is null, .*set model to null too"):
        build(PhaseConfig, phase_settings(rope_theta=None), "phase")
    assert dataclasses.asdict(continued())["model"] is None
