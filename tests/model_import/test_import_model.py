"""Checkpoints of other architectures and tokenizers become artifacts that compute what they computed."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from datatrove.data import Document
from safetensors.torch import load_file, save_file
from tokenizers import Regex, Tokenizer, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from pipeline.core.artifact import Artifact, Manifest
from pipeline.core.context import StageContext, StageResult
from pipeline.core.errors import CheckpointError, ConfigError, DataError
from pipeline.core.files import read_json
from pipeline.model_import import import_model, model_checks
from pipeline.model_import.config import ImportModelConfig
from pipeline.model_import.tokens import complete_tokenizer
from pipeline.pretraining.engine.logits_check import reference_tokens
from pipeline.tokenization.token_budget import check_token_budget, estimated_tokens
from pipeline.tokenization.tokenized_documents import read_tokenized, write_tokenized
from pipeline.tokenization.tokenizer import Vocabulary, document_tokenizer, vocabulary_of
from tests.foreign import IDS, foreign_model, foreign_tokenizer, write_foreign


def settings(source: Path | str, **changes: Any) -> ImportModelConfig:
    rest = dict.fromkeys(("revision", "chat_template", "eos_token", "pad_token"))
    return ImportModelConfig(path=str(source), **{**rest, **changes})


def imported(source: Path, output: Path, **changes: Any) -> tuple[Path, StageResult]:
    """The artifact of an import, and what the stage says of it."""
    context = StageContext.for_test("import_model", settings(source, **changes), {}, output)
    result = import_model.run(context)
    return context.output, result


def changes_of(artifact: Path) -> str:
    return "\n".join(read_json(artifact / "imported.json")["changes"])


@pytest.mark.parametrize(
    ("architecture", "tied"),
    [("llama", True), ("llama", False), ("qwen2", True), ("qwen3", False), ("mistral", False), ("granite", True)],
)
def test_it_computes_what_it_computed(architecture: str, tied: bool, tmp_path: Path) -> None:
    source = write_foreign(tmp_path / "a model", architecture, tied=tied)
    artifact, result = imported(source, tmp_path / "import")
    assert changes_of(artifact) == ""
    loader: Any = AutoModelForCausalLM
    tokens, ids = reference_tokens(IDS)
    before, after = (loader.from_pretrained(each)(tokens).logits for each in (source, artifact / "checkpoint"))
    assert torch.equal(after, before)
    facts = read_json(artifact / "imported.json")
    torch.testing.assert_close(torch.tensor(facts["logits"]), before[0, -1, ids])
    assert (facts["architecture"], facts["context"], facts["source"]) == (architecture, 512, "a model")
    names = load_file(artifact / "checkpoint/model.safetensors").keys()
    assert ("lm_head.weight" in names) != tied
    assert result.metrics["parameters"] == sum(each.numel() for each in foreign_model(architecture, tied).parameters())


def test_weights_that_are_stored_twice_are_stored_once(tmp_path: Path) -> None:
    """Granite 4.1's files have the output layer beside the embeddings that it is tied to."""
    source = write_foreign(tmp_path / "twice", "granite")
    weights = load_file(source / "model.safetensors")
    embeddings = weights["model.embed_tokens.weight"]
    save_file({**weights, "lm_head.weight": embeddings.clone()}, source / "model.safetensors", {"format": "pt"})
    artifact, _ = imported(source, tmp_path / "equal")
    assert load_file(artifact / "checkpoint/model.safetensors").keys() == weights.keys()
    save_file({**weights, "lm_head.weight": embeddings + 1}, source / "model.safetensors", {"format": "pt"})
    artifact, _ = imported(source, tmp_path / "other")
    assert "kept apart" in changes_of(artifact)
    kept: Any = AutoModelForCausalLM.from_pretrained(artifact / "checkpoint")
    assert not kept.config.tie_word_embeddings
    assert torch.equal(kept.lm_head.weight, embeddings + 1)


def test_shards_and_bfloat16_stay_what_they_are(tmp_path: Path) -> None:
    source = tmp_path / "sharded"
    model = foreign_model("llama", tied=False).bfloat16()
    model.save_pretrained(source, max_shard_size="30KB")
    foreign_tokenizer().save_pretrained(source)
    shards = sorted(source.glob("*.safetensors"))
    assert len(shards) > 2
    artifact, _ = imported(source, tmp_path / "import")
    loaded = AutoModelForCausalLM.from_pretrained(artifact / "checkpoint", dtype="auto")
    assert loaded.dtype == torch.bfloat16
    assert all(torch.equal(each, model.state_dict()[name]) for name, each in loaded.state_dict().items())
    shards[1].unlink()
    with pytest.raises(ConfigError, match=rf"{shards[1].name}: missing, but model.safetensors.index.json names it"):
        settings(source).data_fingerprint()


@pytest.mark.parametrize(
    ("special", "named", "rows", "changes", "pad"),
    [
        (("<s>", "</s>", "<pad>"), {}, IDS, {}, "<pad>"),
        (("<s>", "</s>", "<pad>"), {"pad_token": None}, IDS, {}, "<pad>"),
        (("<s>", "</s>", "<unk>"), {"pad_token": None, "unk_token": "<unk>"}, IDS, {}, "<unk>"),
        (("<s>", "</s>"), {"pad_token": "</s>"}, IDS + 8, {}, "<|pad|>"),
        (("<s>", "</s>", "<x>"), {"pad_token": None}, IDS, {"pad_token": "<x>"}, "<x>"),
    ],
    ids=["own", "held ready", "unknown", "added", "set"],
)
def test_padding_is_a_token_of_its_own(
    special: tuple[str, ...], named: dict[str, Any], rows: int, changes: dict[str, str], pad: str
) -> None:
    tokenizer = foreign_tokenizer(special, **named)
    said = "\n".join(complete_tokenizer(tokenizer, settings("any", **changes), rows, "here"))
    assert tokenizer.pad_token == pad
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert tokenizer.pad_token_id < rows
    assert ("beyond the tokenizer's 400 ids: kept" in said) == (rows > IDS)
    assert (f"the padding token is {pad}" in said) == (named.get("pad_token", pad) != pad)


def test_configurations_name_the_tokens_of_the_tokenizer(tmp_path: Path) -> None:
    tokenizer = foreign_tokenizer(("<s>", "</s>"), pad_token=None)
    source = write_foreign(tmp_path / "source", tokenizer=tokenizer, vocab_size=IDS + 8)
    artifact, _ = imported(source, tmp_path / "import")
    assert AutoTokenizer.from_pretrained(artifact / "checkpoint").pad_token_id == IDS
    for name in ("config.json", "generation_config.json"):
        file = read_json(artifact / "checkpoint" / name)
        assert [file[f"{token}_token_id"] for token in ("bos", "eos", "pad")] == [0, 1, IDS]


@pytest.mark.parametrize(
    ("special", "named", "rows", "changes", "message"),
    [
        (("<s>", "</s>"), {"pad_token": None}, IDS, {}, r"no token for padding is free; set stages\.import_model\."),
        (
            ("<s>", "</s>"),
            {"pad_token": None},
            IDS - 1,
            {},
            r"ids up to 399, its model 399 embeddings; import",
        ),
        (("<s>", "<pad>"), {"eos_token": None}, IDS, {}, r"no end-of-sequence token; set .*\.eos_token"),
        (
            ("<s>", "</s>", "<pad>"),
            {},
            IDS,
            {"eos_token": "<|im_end|>"},
            r"eos_token=<\|im_end\|>: not in the vocabulary",
        ),
    ],
)
def test_tokens_that_are_missing_are_named(
    special: tuple[str, ...], named: dict[str, Any], rows: int, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        complete_tokenizer(foreign_tokenizer(special, **named), settings("any", **changes), rows, "here")


def test_the_tokenizer_is_the_one_of_its_file(tmp_path: Path) -> None:
    """The class that Granite's configuration names would split numbers otherwise than its tokenizer.json."""
    source = write_foreign(tmp_path / "source")
    file = source / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(file))
    one_digit = pre_tokenizers.Split(Regex(r"\p{N}"), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([one_digit, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.save(str(file))
    config = source / "tokenizer_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "tokenizer_class": "GPT2Tokenizer"}))
    artifact, _ = imported(source, tmp_path / "import")
    for name in ("checkpoint", "tokenizer"):
        found = AutoTokenizer.from_pretrained(artifact / name).encode("It is 1234 5.")
        assert found == tokenizer.encode("It is 1234 5.").ids


def test_what_cannot_be_imported_is_one_line_before_anything_is_spent(tmp_path: Path) -> None:
    source = write_foreign(tmp_path / "source")
    config = source / "config.json"
    written = config.read_text()

    def refused(path: Path | str = source, **changes: Any) -> str:
        with pytest.raises(ConfigError) as error:
            settings(path, **changes).data_fingerprint()
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "no such folder; for a model of the hub, set revision" in refused("meta-llama/Llama-3.2-1B")
    assert "a name that can move; set the commit" in refused("meta-llama/Llama-3.2-1B", revision="main")
    assert "no such file, set granite or plain, or the path" in refused(chat_template="mine.jinja")
    config.write_text(json.dumps({**json.loads(written), "quantization_config": {"quant_method": "fp8"}}))
    assert "quantized weights cannot be trained" in refused()
    config.write_text(written[:40])
    assert "damaged" in refused()
    config.unlink()
    assert "no config.json" in refused()
    config.write_text(written)
    (source / "model.safetensors").rename(source / "pytorch_model.bin")
    assert "other formats can hold code and are not read" in refused()
    (source / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0nonsense")
    assert "damaged, its header is no safetensors" in refused()


def test_what_does_not_load_whole_is_refused(tmp_path: Path) -> None:
    source = write_foreign(tmp_path / "source")
    weights = load_file(source / "model.safetensors")
    norm = weights.pop("model.norm.weight")
    save_file({**weights, "extra": norm}, source / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match=r"lacks 1 weights of a LlamaForCausalLM, such as model\.norm\.weight"):
        imported(source, tmp_path / "short")
    more = {**weights, "model.norm.weight": norm, "extra": norm.clone()}
    save_file(more, source / "model.safetensors", {"format": "pt"})
    artifact, _ = imported(source, tmp_path / "extra")
    assert changes_of(artifact) == "weights that LlamaForCausalLM does not have are left out: extra"
    config = json.loads((source / "config.json").read_text())
    unknown = {**config, "model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModelForCausalLM": "m.M"}}
    (source / "config.json").write_text(json.dumps(unknown))
    (source / "mine.py").write_text("raise SystemExit('code of a checkpoint was run')")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        imported(source, tmp_path / "code")


def test_an_architecture_that_computes_otherwise_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=IDS, n_embd=32, n_layer=1, n_head=2, n_positions=64)).eval()
    assert len(model_checks.checked_logits(model, "gpt2")) == 64
    # As a family whose logits are scaled by a number that nothing here knows.
    scaled: Any = foreign_model("llama").eval()
    scaled.lm_head.register_forward_hook(lambda module, inputs, output: output if inputs[0].ndim == 2 else output * 1)
    monkeypatch.setattr(model_checks, "logits_divisor", lambda config: 2.0)
    with pytest.raises(CheckpointError, match="logits of llama are not its output layer's product alone"):
        model_checks.checked_logits(scaled, "scaled")


def test_the_fingerprint_follows_the_content_wherever_it_lies(tmp_path: Path) -> None:
    source = write_foreign(tmp_path / "here")
    before = settings(source).data_fingerprint()
    moved = source.rename(tmp_path / "elsewhere")
    assert settings(moved).data_fingerprint() == before
    assert settings(moved, chat_template="plain").data_fingerprint() != before
    weights = load_file(moved / "model.safetensors")
    # Fine-tuned: the same names, shapes and sizes.
    weights["model.layers.1.self_attn.o_proj.weight"].mul_(1.01)
    save_file(weights, moved / "model.safetensors", {"format": "pt"})
    assert settings(moved).data_fingerprint() != before


def test_a_revision_of_the_hub_is_read_from_its_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    snapshot = tmp_path / "models--somebody--tiny/snapshots" / commit
    write_foreign(snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    config = settings("somebody/tiny", revision=commit)
    assert config.data_fingerprint()["model"] == {"hub": "somebody/tiny", "revision": commit}
    artifact, _ = imported(Path("somebody/tiny"), tmp_path / "import", revision=commit)
    facts = read_json(artifact / "imported.json")
    assert (facts["source"], facts["revision"]) == ("somebody/tiny", commit)
    with pytest.raises(DataError, match=r"path=somebody/other at 0123456789ab: cannot be downloaded"):
        imported(Path("somebody/other"), tmp_path / "other", revision=commit)


def test_documents_begin_and_end_as_the_imported_tokenizer_says(tmp_path: Path) -> None:
    foreign_tokenizer().save_pretrained(tmp_path / "tokenizer")
    vocabulary = vocabulary_of(tmp_path / "tokenizer", None)
    assert vocabulary == Vocabulary(size=IDS, end_of_text=1, beginning=(0,))
    document = Document(text="It is 5. </s>", id="ab" * 32)
    tokenizer = document_tokenizer(tmp_path / "tokenizer")
    write_tokenized(tmp_path / "tokens", [document], tokenizer, vocabulary, "uint16", 8)
    tokens = read_tokenized(tmp_path / "tokens", "uint16").tokens.tolist()
    assert (tokens[0], tokens[-1]) == (0, 1)
    assert not {0, 1, 2} & set(tokens[1:-1]), "special tokens come from no text"
    assert tokenizer.decode(tokens[1:-1], skip_special_tokens=False) == document.text


def test_an_imported_tokenizer_has_no_estimate_to_hold_a_corpus_against(tmp_path: Path) -> None:
    manifest = Manifest(stage="import_model", kind="import_model", fingerprint="", inputs={}, files={})
    tokenizer = Artifact(tmp_path, manifest)
    assert estimated_tokens("code", [], tokenizer) is None
    check_token_budget({"code": 10**12}, [], tokenizer, 0.01)
