"""Text among conversations: what a sequence of it holds, and that it is trained on."""

from functools import partial
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from pipeline.control.stage_inputs import check_inputs
from pipeline.core.errors import EXIT_DONE, EXIT_USER_ERROR, ConfigError, DataError
from pipeline.evaluation.loss import mean_loss
from pipeline.inference.loading import load_model
from pipeline.posttraining.data.tokenized import open_tokens
from pipeline.posttraining.sft.config import TextReplayConfig
from pipeline.posttraining.sft.packing import sequences
from pipeline.posttraining.sft.text_replay import ReplayedText
from pipeline.pretraining.data.stream import IGNORE_INDEX, validation_batch
from pipeline.tokenization.tokenizer import tokenizer_fingerprint
from tests.posttraining.sft.settings import settings
from tests.posttraining.tiny import VOCABULARY, write_data, write_model
from tests.runs import finished, freeze, outcome
from tests.settings import stage_config
from tests.shards import write_shards

MIXTURE = {"books": 1.0}
DOCUMENTS = [[number + 1] * length for number, length in enumerate((5, 20, 3, 40, 12) * 8)]
"""Each with a token of its own."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "tokens"
    write_shards(folder, {"books": DOCUMENTS})
    return folder


def replayed(corpus: Path, packing: bool, share: float = 0.25) -> ReplayedText:
    return ReplayedText(corpus, TextReplayConfig(share=share, mixture=MIXTURE), 32, packing, seed=1)


def test_every_token_of_a_document_but_its_first_is_predicted(corpus: Path) -> None:
    text = replayed(corpus, packing=True)
    for number in range(10):
        row = text.read(number)
        assert sum(row["seq_lengths"]) == len(row["input_ids"]) == len(row["labels"]) == 32
        begin = 0
        for length in row["seq_lengths"]:
            ids = row["input_ids"][begin : begin + length]
            # A document is one token many times, and its end.
            assert len(set(ids) - {0}) <= 1
            assert row["labels"][begin : begin + length] == [IGNORE_INDEX, *ids[1:]]
            begin += length


def test_without_packing_a_sequence_is_of_one_document(corpus: Path) -> None:
    whole, text = replayed(corpus, packing=True), replayed(corpus, packing=False)
    for number in range(10):
        row = text.read(number)
        assert row["seq_lengths"] == [max(whole.read(number)["seq_lengths"])] == [len(row["input_ids"])]
        assert len(set(row["input_ids"]) - {0}) <= 1
    assert text.lengths(10).tolist() == [text.read(number)["seq_lengths"][0] for number in range(10)]


@pytest.mark.parametrize("packing", [False, True])
def test_the_share_is_of_all_sequences(packing: bool, corpus: Path, tmp_path: Path, checkpoint: Path) -> None:
    write_data(tmp_path)
    tokens = open_tokens(tmp_path, "train", AutoTokenizer.from_pretrained(checkpoint), checkpoint)
    alone = sequences(tokens, 128, packing)
    mixed = sequences(tokens, 128, packing, text=replayed(corpus, packing, share=0.4))
    conversations, count = len(alone.lengths), len(mixed.lengths)
    assert (count - conversations) / count == pytest.approx(0.4, abs=0.5 / conversations)
    assert [mixed.dataset[at] for at in range(conversations)] == [alone.dataset[at] for at in range(conversations)]
    assert mixed.dataset[conversations] == replayed(corpus, packing).read(0)
    assert mixed.lengths.tolist() == [len(row["input_ids"]) for row in mixed.dataset]


def text_loss(checkpoint: Path, corpus: Path) -> float:
    loaded = load_model(checkpoint)
    batch = validation_batch(corpus, "books", 32, 8)
    assert batch is not None
    return mean_loss(loaded.model, batch, 4096, 4096)[0]


@pytest.mark.slow
@pytest.mark.exhaustive
def test_a_model_trained_on_both_knows_more_of_the_text(tmp_path: Path) -> None:
    finished(tmp_path, "base", write_model)
    finished(tmp_path, "sft_data", write_data)
    made = {"tokenize": tokenizer_fingerprint(tmp_path / "base/checkpoint"), "other": "another"}
    for name, tokenizer in made.items():
        written = partial(write_shards, train={"books": DOCUMENTS}, vocab_size=VOCABULARY, tokenizer=tokenizer)
        finished(tmp_path, name, lambda output, written=written: written(output / "tokens"))
    mixed = settings(text_replay={"share": 0.5, "mixture": MIXTURE})
    inputs = {"model": "base", "data": "sft_data"}
    alone = freeze(tmp_path, "alone", "sft", settings(), inputs)
    both = freeze(tmp_path, "both", "sft", mixed, {**inputs, "tokens": "tokenize"})
    wrong = freeze(tmp_path, "wrong", "sft", mixed, {**inputs, "tokens": "other"})
    for stage in (alone, both):
        code, said = outcome(stage)
        assert code == EXIT_DONE, said
    corpus = tmp_path / "tokenize/tokens"
    assert text_loss(both / "checkpoint", corpus) < text_loss(alone / "checkpoint", corpus) - 0.05
    code, said = outcome(wrong)
    assert code == EXIT_USER_ERROR
    assert "tokenize again" in said


def test_without_a_mixture_all_domains_that_fill_a_sequence_come_equally(tmp_path: Path) -> None:
    write_shards(tmp_path / "tokens", {"books": DOCUMENTS, "code": [[9] * 400], "short": [[7] * 5]})
    text = ReplayedText(tmp_path / "tokens", TextReplayConfig(share=0.5, mixture=None), 32, True, seed=1)
    code = [9 in text.read(number)["input_ids"] and len(text.read(number)["seq_lengths"]) == 1 for number in range(20)]
    assert sum(code) == pytest.approx(10, abs=1)
    with pytest.raises(DataError, match="no domain has 5,000 tokens"):
        ReplayedText(tmp_path / "tokens", TextReplayConfig(share=0.5, mixture=None), 5000, True, seed=1)


def test_the_plan_asks_for_tokens() -> None:
    config = stage_config("sft", **settings(text_replay={"share": 0.5, "mixture": MIXTURE}))
    before = {"base": "pretrain", "sft_data": "sft_data", "tokenize": "tokenize"}
    inputs = {"model": "base", "data": "sft_data"}
    with pytest.raises(ConfigError, match=r"inputs\.tokens: missing, and config\.text_replay .* set it to tokenize"):
        check_inputs("sft", "sft", config, inputs, before)
    check_inputs("sft", "sft", config, {**inputs, "tokens": "tokenize"}, before)
    check_inputs("sft", "sft", stage_config("sft", **settings()), inputs, before)
