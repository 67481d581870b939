"""The released folder stands alone, and its card and disclosure say what it was made from."""

import dataclasses
import json
import shutil
import stat
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GraniteConfig, GraniteForCausalLM

from pipeline.core.artifact import Artifact, Manifest
from pipeline.core.context import StageContext
from pipeline.core.errors import ArtifactError, CheckpointError, ConfigError
from pipeline.core.files import read_json, write_json
from pipeline.release import release
from pipeline.release.config import ReleaseConfig
from pipeline.release.folder import measure_in_isolation, write_model_folder
from pipeline.release.lineage import disclosures, lineage
from pipeline.release.portable import portable_config
from pipeline.tokenization.tokenizer import save_tokenizer, train_tokenizer
from tests.settings import stage_config

VOCABULARY = 512
DATASET = {"name": "pages", "domain": "math", "description": "Pages | of proofs", "source": "Us", "licence": "CC0-1.0"}
MEASURED = {"loss/math": 2.25, "accuracy/math": 0.5, "accuracy/math/low": 0.4, "accuracy/math/high": 0.6}
CONFIG: ReleaseConfig = stage_config(
    "release",
    name="Tiny",
    sample_environments=["math"],
    maximum_new_tokens=5,
    precision="fp32",
    problems={"difficulty": 3, "assistant": "Fivephase"},
)


def manifest(stage: str, kind: str, inputs: dict[str, str], **rest: Any) -> Manifest:
    sources = {role: {"stage": name, "fingerprint": f"of {name}"} for role, name in inputs.items()}
    return Manifest(stage=stage, kind=kind, fingerprint=f"of {stage}", inputs=sources, files={}, **rest)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four stages: tokenize, two phases on it, and an evaluation of the second."""
    root = tmp_path_factory.mktemp("run")
    data = {
        "tokens/math": 1000.0,
        "validation_tokens/math": 50.0,
        "tokens/code": 7.0,
        "validation_tokens/code": 1.0,
    }
    manifests = [
        manifest("curate", "curate", {}),
        manifest("tokenize", "tokenize", {"corpus": "curate"}, metrics=data, tokens=1058),
        manifest("phase1", "pretrain", {"tokens": "tokenize"}, tokens=900),
        manifest(
            "phase2",
            "pretrain",
            {"model": "phase1", "tokens": "tokenize"},
            measure="loss",
            before=3,
            after=2.5,
        ),
        manifest("evaluate", "evaluate", {"model": "phase2", "tokens": "tokenize"}, metrics=MEASURED),
    ]
    manifests[0].files["disclosure.json"] = {"size": 0, "sha256": ""}
    for each in manifests:
        (root / each.stage).mkdir()
        write_json(root / each.stage / "manifest.json", dataclasses.asdict(each))
    write_json(root / "curate" / "disclosure.json", [DATASET])
    library = Path(sysconfig.get_paths()["stdlib"])
    texts = [path.read_text()[:6000] for path in sorted(library.glob("*.py"))[:24]]
    checkpoint = root / "phase2" / "checkpoint"
    save_tokenizer(train_tokenizer(texts, VOCABULARY), checkpoint)
    torch.manual_seed(0)
    shape: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    model = GraniteForCausalLM(
        GraniteConfig(vocab_size=VOCABULARY, num_attention_heads=2, tie_word_embeddings=True, **shape)
    )
    model.save_pretrained(checkpoint)
    return root


def artifact(run: Path, stage: str) -> Artifact:
    return Artifact(run / stage, Manifest(**json.loads((run / stage / "manifest.json").read_text())))


def test_what_was_imported_is_disclosed_as_known_to_others(tmp_path: Path) -> None:
    imports = [manifest("import_model", "import_model", {}), manifest("import_tokens", "import_tokens", {})]
    for each in imports:
        write_json(tmp_path / each.stage / "imported.json", {"source": "owner/model", "revision": "c0ffee"})
    model, tokens = disclosures(Artifact(tmp_path / each.stage, each) for each in imports)
    assert model["name"] == "weights of owner/model at c0ffee"
    assert model["licence"] == "that of the weights of owner/model at c0ffee"
    assert tokens["description"] == "what texts they are of is not known here"


def test_the_stage_makes_a_folder_that_stands_alone(run: Path, tmp_path: Path) -> None:
    inputs = {"model": artifact(run, "phase2"), "evaluate": artifact(run, "evaluate")}
    context = StageContext.for_test("release", CONFIG, inputs, tmp_path / "release")
    result = release.run(context)
    folder = context.output / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    assert type(model).__name__ == "GraniteForCausalLM"
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id == VOCABULARY - 95
    assert tokenizer.chat_template == AutoTokenizer.from_pretrained(run / "phase2" / "checkpoint").chat_template
    before = AutoModelForCausalLM.from_pretrained(run / "phase2" / "checkpoint").state_dict()
    assert all(torch.equal(each, before[name]) for name, each in model.state_dict().items())
    assert {path.name for path in folder.glob("*")} == {
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
        "reference.json",
        "data_disclosure.json",
        "chat_template.jinja",
        "README.md",
    }
    assert list(result.samples[0]) == ["prompt", "answer", "verdict"]
    assert read_json(folder / "data_disclosure.json") == [DATASET]
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert "| pages | math | Pages \\| of proofs | Us | CC0-1.0 |  |" in card
    assert card.endswith("The model's owner has not set one. Licenses of the data: CC0-1.0.\n")
    assert "it has not been tuned to chat" in card
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o644 for path in folder.iterdir())
    assert "| phase2 |  | loss | 3 | 2.5 |" in card
    assert card.index("| tokenize |") < card.index("| phase1 |") < card.index("| phase2 |")
    assert "| math | 1,000 | 50 |" in card
    assert "| metric | phase2 |" in card
    assert "| loss/math | 2.25 |" in card
    assert "| accuracy/math | 0.5 (0.40 to 0.60) |" in card
    assert "accuracy/math/low" not in card


def test_a_broken_lineage_is_named(run: Path) -> None:
    model = artifact(run, "phase2")
    assert [each.manifest.stage for each in lineage(model)] == ["curate", "tokenize", "phase1", "phase2"]
    other = dataclasses.replace(model.manifest, inputs={"model": {"stage": "phase1", "fingerprint": "old"}})
    with pytest.raises(ArtifactError, match="phase1: phase2 was made from it, but it is made anew"):
        lineage(Artifact(model.directory, other))
    other = dataclasses.replace(model.manifest, inputs={"model": {"stage": "phase0", "fingerprint": "old"}})
    with pytest.raises(ArtifactError, match=r"it is missing; run from=phase0"):
        lineage(Artifact(model.directory, other))


def test_precision_is_that_of_the_weights(run: Path, tmp_path: Path) -> None:
    shape = write_model_folder(run / "phase2" / "checkpoint", tmp_path, "bf16")
    model: Any = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model.dtype == torch.bfloat16
    assert shape.parameters == model.num_parameters()


def test_a_folder_that_needs_this_package_is_refused(run: Path, tmp_path: Path) -> None:
    write_model_folder(run / "phase2" / "checkpoint", tmp_path, "fp32")
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(ArtifactError, match="does not load and answer outside this package"):
        measure_in_isolation(tmp_path, [], 3, timeout_seconds=120)
    with pytest.raises(ArtifactError, match=r"no answer within 0\.01 s"):
        measure_in_isolation(tmp_path, [], 3, timeout_seconds=0.01)


def test_a_checkpoint_without_chat_template_is_refused(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "phase2" / "checkpoint", tmp_path / "base")
    (tmp_path / "base" / "chat_template.jinja").unlink()
    with pytest.raises(CheckpointError, match="has no chat template"):
        write_model_folder(tmp_path / "base", tmp_path / "released", "fp32")


def test_a_chat_model_says_what_its_owner_set_and_what_was_measured_of_it(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run / "phase2", tmp_path / "run" / "sft")
    for name in ("curate", "tokenize", "phase1", "phase2", "evaluate"):
        shutil.copytree(run / name, tmp_path / "run" / name)
    (tmp_path / "run" / "sft_data").mkdir()
    data = manifest("sft_data", "sft_data", {}, metrics={"conversations/train": 5000.0}, finished="2026-01-01T00:00:01")
    write_json(tmp_path / "run" / "sft_data" / "manifest.json", dataclasses.asdict(data))
    chat = Artifact(tmp_path / "run" / "sft", manifest("sft", "sft", {"model": "phase2", "data": "sft_data"}))
    of_rl = manifest("evaluate_rl", "evaluate", {"model": "rl"}, metrics={"accuracy/mean": 0.75})
    inputs = {
        "model": chat,
        "evaluate_rl": Artifact(tmp_path / "run" / "evaluate_rl", of_rl),
        "evaluate": artifact(tmp_path / "run", "evaluate"),
    }
    config = dataclasses.replace(CONFIG, license="Apache-2.0", name="Chat")
    context = StageContext.for_test("release_sft", config, inputs, tmp_path / "release")
    result = release.run(context)
    card = (context.output / "model" / "README.md").read_text()
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert "Apache-2.0, as the model's owner has set it. Licenses of the data: CC0-1.0." in card
    assert "tuned to chat" in card
    assert "has not been tuned" not in card
    assert "| sft_data | conversations | 5,000 |" in card
    # It was not made from the model that this evaluation measured.
    assert "| metric | phase2 |" in card
    assert "accuracy/mean" not in card
    reference = read_json(context.output / "model" / "reference.json")
    assert reference["loss"] == result.metrics["loss"]
    assert [completion["text"] for completion in reference["completions"]] == [result.samples[0]["answer"]]
    tokenizer: Any = AutoTokenizer.from_pretrained(context.output / "model")
    messages = [{"role": "user", "content": result.samples[0]["prompt"]}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert reference["completions"][0]["prompt"] == prompt


def test_stages_are_in_the_order_in_which_they_ran(tmp_path: Path) -> None:
    names = {
        "data": [],
        "base": [],
        "sft": ["base", "data"],
        "rl": ["sft", "reward"],
        "reward": ["sft", "data"],
        "late": ["rl", "other"],
        "other": [],
    }
    finished = {"data": "3", "base": "1", "sft": "4", "reward": "5", "rl": "7", "other": "6", "late": "8"}
    for name, inputs in names.items():
        made = manifest(name, "x", {each: each for each in inputs}, finished=finished[name])
        write_json(tmp_path / name / "manifest.json", dataclasses.asdict(made))
    order = [each.manifest.stage for each in lineage(artifact(tmp_path, "late"))]
    assert order == ["base", "data", "sft", "reward", "other", "rl", "late"]


def test_older_programs_find_what_they_look_for(run: Path, tmp_path: Path) -> None:
    write_model_folder(run / "phase2" / "checkpoint", tmp_path, "bf16")
    config, tokenizer = read_json(tmp_path / "config.json"), read_json(tmp_path / "tokenizer_config.json")
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"]
    assert config["torch_dtype"] == config["dtype"] == "bfloat16"
    assert tokenizer["tokenizer_class"] == "PreTrainedTokenizerFast"
    assert tokenizer["model_input_names"] == ["input_ids", "attention_mask"]
    assert tokenizer["model_max_length"] == config["max_position_embeddings"]
    assert tokenizer["chat_template"] == (tmp_path / "chat_template.jinja").read_text()
    assert not {"local_files_only", "is_local", "backend"} & set(tokenizer)
    scaled = {"rope_type": "llama3", "factor": 8.0, "rope_theta": 5e5}
    assert portable_config({"rope_parameters": scaled}) == {
        "rope_parameters": scaled,
        "rope_theta": 5e5,
        "rope_scaling": {"rope_type": "llama3", "factor": 8.0},
    }


def test_a_reward_model_is_no_release(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"architectures": ["GraniteForSequenceClassification"]})
    with pytest.raises(CheckpointError, match=r"holds no language model \(GraniteForSequenceClassification\); set"):
        write_model_folder(tmp_path, tmp_path / "released", "fp32")


@pytest.mark.parametrize("license", ["", "Apache 2.0", "a\nb: c"])
def test_a_license_is_an_identifier(license: str) -> None:
    with pytest.raises(ConfigError, match=r"set an SPDX identifier such as Apache-2\.0, or null"):
        stage_config("release", license=license)
