"""Packed conversations: which are put together, that none sees another, and what is trained on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from datasets import Dataset
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM, AutoTokenizer, MambaConfig, MambaForCausalLM
from trl.kernels import chunked_logprob
from trl.trainer import utils
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling
from trl.trainer.utils import add_fused_lm_head

from pipeline.core.errors import CheckpointError, DataError
from pipeline.inference.loading import LoadedModel
from pipeline.posttraining.data.tokenized import open_tokens
from pipeline.posttraining.sft.packing import best_fit, check_kept_apart, sequences
from tests.posttraining.tiny import VOCABULARY, write_data

IGNORED = -100


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Dataset:
    folder = tmp_path_factory.mktemp("sft_data")
    write_data(folder)
    return open_tokens(folder, "train", AutoTokenizer.from_pretrained(checkpoint), checkpoint)


def model_of(checkpoint: Path, attention: str = "sdpa") -> Any:
    model: Any = AutoModelForCausalLM.from_pretrained(checkpoint, attn_implementation=attention)
    # A division of the logits that is not 1 shows whether the loss of chunks makes it.
    model.config.logits_scaling = 4.0
    return model.train()


def collated(rows: list[dict[str, Any]], packing: bool) -> dict[str, Any]:
    return DataCollatorForLanguageModeling(pad_token_id=0, padding_free=packing)(rows)


def step(model: Any, batches: list[dict[str, Any]]) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss per token over all batches by the model's chunked head, as SFTTrainer computes it, and the gradients."""
    model.zero_grad()
    outputs = [model(**batch, use_cache=False, fused_lm_head=True) for batch in batches]
    loss = -torch.stack([each.log_probs.sum() for each in outputs]).sum() / sum(
        each.label_mask.sum() for each in outputs
    )
    loss.backward()
    return loss.item(), {name: each.grad.clone() for name, each in model.named_parameters()}


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_loss_and_gradients_are_those_of_single_conversations(
    attention: str, checkpoint: Path, tokens: Dataset
) -> None:
    model = model_of(checkpoint, attention)
    add_fused_lm_head(model)
    some = tokens.select(range(12))
    packed = sequences(some, 256, packing=True)
    assert len(packed.lengths) < 6
    assert packed.lengths.sum() == sum(map(len, some["input_ids"]))
    loss, gradients = step(model, [collated([row], True) for row in packed.dataset])
    alone, expected = step(model, [collated([row], False) for row in sequences(some, 256).dataset])
    assert loss == pytest.approx(alone, rel=1e-6)
    for name, each in expected.items():
        torch.testing.assert_close(gradients[name], each, rtol=1e-4, atol=1e-6)


@pytest.mark.filterwarnings("ignore:flex_attention called without")
def test_the_boundaries_decide_what_a_token_sees(checkpoint: Path, tokens: Dataset) -> None:
    for attention in ("sdpa", "eager", "flex_attention"):
        model = model_of(checkpoint, attention).eval()
        with torch.compiler.set_stance("force_eager"):
            check_kept_apart(LoadedModel(model, None), "here")  # pyright: ignore[reportArgumentType]
    settings = MambaConfig(vocab_size=32, hidden_size=16, state_size=4, num_hidden_layers=1)
    leaking: Any = MambaForCausalLM(settings).eval()
    with pytest.raises(CheckpointError, match="mamba does not keep packed conversations apart, set packing=false"):
        check_kept_apart(LoadedModel(leaking, None), "here")  # pyright: ignore[reportArgumentType]


class Largest(TorchDispatchMode):
    """Notes the largest tensor with a number of columns that any operation makes."""

    def __init__(self, columns: Callable[[int], bool]) -> None:
        super().__init__()
        self._columns, self.elements = columns, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for each in made if isinstance(made, tuple | list) else (made,):
            if torch.is_tensor(each) and each.ndim and self._columns(each.shape[-1]):
                self.elements = max(self.elements, each.numel())
        return made


def test_no_logits_of_all_tokens_are_made(checkpoint: Path, tokens: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked_logprob, "TOKEN_CHUNK_SIZE", 32)
    monkeypatch.setattr(utils, "_CHUNKED_LOGPROB_CHUNK_SIZE", 128)
    batch = collated(list(sequences(tokens, 256, packing=True).dataset.select(range(2))), True)
    model = model_of(checkpoint)
    whole = Largest(lambda columns: columns == VOCABULARY)
    with whole:
        logits = model(**{key: each for key, each in batch.items() if key != "labels"}, use_cache=False).logits
    targets = batch["labels"][:, 1:].flatten()
    expected = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), targets, ignore_index=IGNORED)
    assert whole.elements >= batch["input_ids"].numel() * VOCABULARY
    add_fused_lm_head(model)
    # Of the head's own shape is its gradient; what is made of tokens has at most a tile's columns.
    tiles = Largest(lambda columns: columns in (128, VOCABULARY))
    with tiles:
        loss, _ = step(model, [batch])
    assert loss == pytest.approx(expected.item(), rel=1e-5)
    assert tiles.elements <= 32 * 128


def test_long_conversations_are_cut_and_those_without_a_reply_left_out(tokens: Dataset) -> None:
    rows = {
        "input_ids": [[5, 6, 7, 8], [5, 6, 7, 8], [5, 6]],
        "assistant_masks": [[0, 1, 1, 1], [0, 0, 0, 1], [0, 1]],
    }
    made = sequences(Dataset.from_dict(rows), 3)
    assert (made.truncated, made.left_out, made.lengths.tolist()) == (1, 1, [3, 2])
    assert made.dataset[0] == {"input_ids": [5, 6, 7], "labels": [IGNORED, 6, 7], "seq_lengths": [3]}
    with pytest.raises(
        DataError, match="of 3 conversations none has a turn of the assistant within max_length=1 tokens"
    ):
        sequences(Dataset.from_dict(rows), 1)


def test_every_conversation_is_packed_once_into_few_sequences(tokens: Dataset) -> None:
    lengths = numpy.random.default_rng(0).integers(1, 40, 200).tolist()
    packs = best_fit(lengths, 64)
    assert sorted(place for pack in packs for place in pack) == list(range(200))
    filled = [sum(lengths[place] for place in pack) for pack in packs]
    assert max(filled) <= 64
    assert len(packs) <= 1.02 * sum(lengths) / 64 + 1
    assert best_fit([3, 2, 1, 2], 4) == [[0, 2], [1, 3]]
    first, again, other = (list(sequences(tokens, 256, True, seed).dataset) for seed in (0, 0, 1))
    assert first == again != other
