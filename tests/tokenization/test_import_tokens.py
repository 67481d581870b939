"""Shards that datatrove itself wrote, with their tokenizer, as what phases read."""

import dataclasses
import shutil
from pathlib import Path

import numpy
import pytest
from datatrove.data import Document
from datatrove.pipeline.tokens import DocumentTokenizer
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from pipeline.control.compose import compose, typed
from pipeline.control.frozen_stages import freeze
from pipeline.control.planning import plan_phases, with_token_budget
from pipeline.core.context import StageContext
from pipeline.core.errors import ConfigError, DataError
from pipeline.pretraining.data.stream import TokenStream, domains_with_validation
from pipeline.pretraining.data.vocabularies import check_vocabularies
from pipeline.tokenization import import_tokens
from pipeline.tokenization.config import ImportTokensConfig
from pipeline.tokenization.shards import TokenShard, documents_of, read_index
from pipeline.tokenization.tokenizer import save_tokenizer, tokenizer_fingerprint
from tests.tokenization.conftest import VOCABULARY

SCALE = """# @package _global_
defaults: [smoke, /stage/import_tokens]
scale: mine
"""


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory, trained: Tokenizer, texts: list[str]) -> Path:
    """A tokenizer, and shards of two domains: one whose documents end with its end of text, and one without."""
    folder = tmp_path_factory.mktemp("elsewhere")
    save_tokenizer(trained, folder / "tokenizer")
    name = str(folder / "tokenizer" / "tokenizer.json")
    for domain, chosen, end in (("web", texts[:60], "<|end_of_text|>"), ("plain", texts[60:90], None)):
        documents = (Document(text=text, id=str(number)) for number, text in enumerate(chosen))
        writer = DocumentTokenizer(str(folder / domain), name, eos_token=end, seed=0)
        for _ in writer.run(documents, rank=0, world_size=1) or ():
            pass
    return folder


def settings(shards: Path, **changes: object) -> ImportTokensConfig:
    domains = {domain: str(shards / domain) for domain in ("web", "plain")}
    config = ImportTokensConfig(
        domains=domains, tokenizer=str(shards / "tokenizer"), vocab_size=VOCABULARY, validation_share=0.1
    )
    return dataclasses.replace(config, **changes)


def imported(config: ImportTokensConfig, directory: Path) -> Path:
    context = StageContext.for_test("import_tokens", config, {}, directory)
    result = import_tokens.run(context)
    index = read_index(context.output / "tokens")
    assert result.tokens == sum(split["tokens"] for each in index["domains"].values() for split in each.values())
    return context.output


def test_every_document_is_there_once_and_ends(shards: Path, texts: list[str], tmp_path: Path) -> None:
    output = imported(settings(shards), tmp_path / "stage")
    loaded = AutoTokenizer.from_pretrained(output / "tokenizer")
    for domain, expected in (("web", texts[:60]), ("plain", texts[60:90])):
        found = []
        for split in ("train", "validation"):
            path = output / "tokens" / domain / f"{split}.ds"
            shard = TokenShard.open(path)
            assert len(documents_of(path)) == shard.documents > 0
            for number in range(shard.documents):
                *tokens, end = shard.document(number).tolist()
                assert end == loaded.eos_token_id
                found.append(loaded.decode(tokens))
        assert sorted(found) == sorted(expected)


def test_phases_take_tokens_and_tokenizer_from_it(shards: Path, tmp_path: Path) -> None:
    output = imported(settings(shards), tmp_path / "stage")
    check_vocabularies(VOCABULARY, output / "tokenizer", output / "tokens", None)
    AutoTokenizer.from_pretrained(output / "tokenizer").save_pretrained(tmp_path / "checkpoint")
    assert tokenizer_fingerprint(tmp_path / "checkpoint") == tokenizer_fingerprint(output / "tokenizer")
    batch = TokenStream(output / "tokens", {"web": 2, "plain": 1}, 64, seed=0).read(0, 8)
    assert batch.tokens.shape == (8, 64)
    assert domains_with_validation(output / "tokens") == ["plain", "web"]


def test_files_decide_nothing_but_their_documents(shards: Path, tmp_path: Path) -> None:
    """The same documents in one shard of 16 bits and in two of 32 are the same artifact."""
    source = next((shards / "web").glob("*.ds"))
    tokens = numpy.fromfile(source, dtype="<u2").astype("<u4")
    ends = numpy.fromfile(f"{source}.index", dtype="<u8")
    half = int(ends[29])
    folder = tmp_path / "web"
    folder.mkdir()
    for name, part, part_ends in (
        ("b", tokens[:half], ends[:30]),
        ("a", tokens[half:], ends[30:] - numpy.uint64(half)),
    ):
        part.tofile(folder / f"{name}.ds")
        part_ends.tofile(folder / f"{name}.ds.index")
    one = imported(settings(shards, domains={"web": str(source)}), tmp_path / "one")
    two = imported(settings(shards, domains={"web": str(folder)}), tmp_path / "two")
    first, second = (read_index(each / "tokens")["domains"]["web"] for each in (one, two))
    assert first == second


def test_what_does_not_fit_is_named(shards: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(shards, tmp_path / "copy"))
    path = next((folder / "web").glob("*.ds"))
    whole = path.read_bytes()

    def refused(line: str, **changes: object) -> None:
        with pytest.raises(DataError, match=line):
            imported(settings(folder, **changes), tmp_path / "stage")
        shutil.rmtree(tmp_path / "stage", ignore_errors=True)

    refused("has 1,024 ids, vocab_size is 1,000; set model.vocab_size", vocab_size=1000)
    path.write_bytes(whole[:-10])
    refused(r"\.ds: has [\d,]+ bytes, but by its index documents end at token [\d,]+, .* copy both files again")
    path.write_bytes(b"\xff\xff" + whole[2:])
    refused(r"\.ds: document 0 has the token 65,535, the tokenizer has 1,024 ids; set tokenizer")
    path.with_name(f"{path.name}.index").unlink()
    refused(r"\.ds: no .*\.ds\.index beside it, which says where documents end")
    path.unlink()
    refused(r"domains\.web=.*: no file \*\.ds there")
    with pytest.raises(DataError, match=r"^tokenizer=nowhere: no nowhere/tokenizer\.json there"):
        settings(shards, tokenizer="nowhere").data_fingerprint()


def test_a_chain_on_imported_tokens_is_planned(shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf" / "scale").mkdir(parents=True)
    (tmp_path / "conf" / "scale" / "mine.yaml").write_text(SCALE)
    monkeypatch.chdir(tmp_path)
    config = typed(
        compose(["scale=mine", f"stages.import_tokens.config.tokenizer='{shards / 'tokenizer'}'",
                 f"stages.import_tokens.config.domains={{web: '{shards / 'web'}'}}"])
    )  # fmt: skip
    phase = config.stages["phase1"]
    assert phase is not None
    inputs = {"tokens": "import_tokens", "tokenizer": "import_tokens"}
    chain = {
        "import_tokens": config.stages["import_tokens"],
        "phase1": dataclasses.replace(phase, inputs=inputs, config={**phase.config, "mixture": {"web": 1}}),
    }
    stages = with_token_budget(freeze(dataclasses.replace(config, stages=chain)), config.root)
    assert list(plan_phases(stages, config.root)) == ["phase1"]
    changed = {
        **chain,
        "phase1": dataclasses.replace(phase, inputs=inputs, config={**phase.config, "mixture": {"wep": 1}}),
    }
    with pytest.raises(
        ConfigError, match=r"phase1\.config\.mixture\.wep: no such domain is tokenized, did you mean web\?$"
    ):
        plan_phases(freeze(dataclasses.replace(config, stages=changed)), config.root)
