import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch.nn import functional

from pipeline.core.artifact import Artifact
from pipeline.core.config import build
from pipeline.core.context import StageContext
from pipeline.core.errors import CheckpointError, ConfigError, DataError
from pipeline.environments.registry import problems, verify
from pipeline.evaluation import accuracy, evaluate
from pipeline.evaluation.config import EvaluateConfig
from pipeline.evaluation.long_range import long_batch, long_windows
from pipeline.evaluation.loss import mean_loss, token_losses
from pipeline.evaluation.model import LoadedModel, load_model
from pipeline.evaluation.needle import Haystack, held_out_text, make_haystacks, retrieve
from pipeline.pretraining.data.stream import IGNORED, Batch, validation_batch
from pipeline.tokenization.shards import TokenShard

SETTINGS = {
    "precision": "fp32",
    "headline": "loss/mean",
    "loss": {"context": 64, "sequences_per_domain": 4},
    "long_context": {
        "beyond": 64,
        "contexts": [128, 256],
        "domains": ["code"],
        "windows": 3,
        "needles": 3,
        "value_digits": 3,
    },
    "accuracy": {
        "environments": ["math", "science"],
        "problems_per_environment": 5,
        "maximum_new_tokens": 4,
        "problems": {"difficulty": 1},
        "batch_prompts": 4,
    },
}


@pytest.fixture(scope="module")
def loaded(model_artifact: Artifact) -> LoadedModel:
    return load_model(model_artifact.checkpoint, "fp32", "sdpa")


def settings(**changes: object) -> EvaluateConfig:
    return build(EvaluateConfig, SETTINGS | changes, where="stages.evaluate.config")


def test_the_loss_is_that_of_each_document_alone(loaded: LoadedModel, tokens_artifact: Artifact) -> None:
    tokens = tokens_artifact.directory / "tokens"
    shard = TokenShard.open(tokens / "math" / "validation.ds")
    document = torch.from_numpy(shard.document(0).astype(numpy.int64))
    other = torch.arange(9)
    sequence = torch.cat([other, document, other])
    positions = torch.cat([torch.arange(len(each)) for each in (other, document, other)])
    labels = torch.cat([torch.cat([each[1:], torch.tensor([IGNORED])]) for each in (other, document, other)])
    batch = Batch(sequence[None].numpy(), positions[None].numpy(), labels[None].numpy())
    with torch.inference_mode():
        alone = functional.cross_entropy(
            loaded.model(input_ids=document[None]).logits[0, :-1], document[1:], reduction="none"
        )
    packed = token_losses(loaded.model, batch, chunk_tokens=5)[0]
    torch.testing.assert_close(packed[9 : 9 + len(document) - 1], alone, rtol=1e-5, atol=1e-5)
    assert packed[8] == 0


def test_chunks_and_batches_leave_no_trace(loaded: LoadedModel, tokens_artifact: Artifact) -> None:
    batch = validation_batch(tokens_artifact.directory / "tokens", "code", 64, 5)
    assert batch is not None
    whole, count = mean_loss(loaded.model, batch, 10_000, 10_000)
    parts, same = mean_loss(loaded.model, batch, 64, 7)
    assert parts == pytest.approx(whole, rel=1e-6)
    assert count == same == int((batch.labels != IGNORED).sum())


def test_a_loss_starts_where_it_is_told_to(loaded: LoadedModel, tokens_artifact: Artifact) -> None:
    batch = long_batch(tokens_artifact.directory / "tokens", ["code"], 128, 2)
    losses = token_losses(loaded.model, batch, 1000)
    mean, count = mean_loss(loaded.model, batch, 1000, 1000, first_position=100)
    assert mean == pytest.approx(float(losses[:, 100:].mean()), rel=1e-6)
    assert count == 2 * 28


def test_windows_stay_inside_documents_and_favour_new_ones() -> None:
    ends = numpy.array([25, 30, 60], dtype=numpy.uint64)
    shard = TokenShard(numpy.arange(60, dtype=numpy.uint16), ends, "")
    starts = [int(window[0]) for window in long_windows([shard], 10)]
    assert starts == [0, 30, 10, 40]
    assert all(len(window) == 11 for window in long_windows([shard], 10))


def test_no_long_document_is_an_error_that_says_what_to_do(tokens_artifact: Artifact) -> None:
    with pytest.raises(DataError, match="no held-out document of math has 65 tokens; lower long_context"):
        long_batch(tokens_artifact.directory / "tokens", ["math"], 64, 2)


def test_haystacks_have_their_length_and_hide_the_needle_once(loaded: LoadedModel, tokens_artifact: Artifact) -> None:
    text = held_out_text(tokens_artifact.directory / "tokens", ["code"])
    tokenizer: Any = loaded.tokenizer
    haystacks = make_haystacks(text, loaded.tokenizer, 256, 8, 6, seed=3)
    assert haystacks == make_haystacks(text, loaded.tokenizer, 256, 8, 6, seed=3)
    for haystack in haystacks:
        value = tokenizer.decode(haystack.answer)
        prompt = tokenizer.decode(haystack.with_needle)
        assert len(value) == 6
        assert f"{value}.\n" in prompt
        assert prompt.endswith(" is ")
        assert value not in tokenizer.decode(haystack.without_needle)
        assert len(haystack.with_needle) == len(haystack.without_needle)
        assert len(haystack.with_needle) + len(haystack.answer) == 256
        joined = tokenizer.encode(tokenizer.decode(haystack.with_needle[-12:]) + value)
        assert joined[-len(haystack.answer) :] == haystack.answer
    with pytest.raises(DataError, match="too short for a needle"):
        make_haystacks(text, loaded.tokenizer, 32, 1, 6, seed=3)


def test_retrieval_agrees_with_greedy_generation(loaded: LoadedModel) -> None:
    model = loaded.model
    prompt = [5, 6, 7, 8]
    sequence = torch.tensor([prompt])
    with torch.inference_mode():
        for _ in range(3):
            following = model(input_ids=sequence).logits[0, -1].argmax()
            sequence = torch.cat([sequence, following.view(1, 1)], dim=1)
    answer = sequence[0, len(prompt) :].tolist()
    right = retrieve(model, [Haystack(prompt, prompt, answer)])
    wrong = retrieve(model, [Haystack(prompt, prompt, [*answer[:-1], answer[-1] - 1])])
    assert (right.exact, wrong.exact) == (1.0, 0.0)
    assert right.gain == 0
    assert 0 < right.loss < wrong.loss


def test_batches_of_unequal_prompts_answer_as_alone(loaded: LoadedModel) -> None:
    prompts = ["What is 1 + 1?", "Name the capital of France, please, and do it with care.", "Hi"]
    together = accuracy.generate(loaded, prompts, 6)
    assert together == [accuracy.generate(loaded, [prompt], 6)[0] for prompt in prompts]


def test_accuracy_counts_verdicts_and_endings() -> None:
    posed = problems("math", 2, 0, "held_out")
    answers = [
        accuracy.Answer(problem, text, finished, verify(problem, text))
        for problem, text, finished in (
            (posed[0], posed[0].solution, True),
            (posed[1], posed[1].solution, False),
        )
    ]
    metrics = accuracy.accuracy_metrics(answers)
    assert metrics["accuracy/math"] == metrics["accuracy/mean"] == 1.0
    assert metrics["in_format/math"] == 0.5


def test_the_stage_measures_writes_and_repeats_itself(
    tmp_path: Path, model_artifact: Artifact, tokens_artifact: Artifact
) -> None:
    inputs = {"model": model_artifact, "tokens": tokens_artifact}
    first = evaluate.run(StageContext.for_test("evaluate_a", settings(), inputs, tmp_path / "a"))
    manifest = dataclasses.replace(model_artifact.manifest, metrics={"loss/mean": 9.0})
    earlier = Artifact(tmp_path / "a", manifest)
    context = StageContext.for_test("evaluate_b", settings(), inputs | {"before": earlier}, tmp_path / "b")
    second = evaluate.run(context)
    assert second.metrics == first.metrics
    assert (second.measure, second.before, second.after) == ("loss/mean", 9.0, first.metrics["loss/mean"])
    assert first.metrics["loss/code"] == pytest.approx(math.log(512), rel=0.5)
    expected = {"loss/code", "long_range_loss/256", "needle_exact/128", "needle_gain/256", "accuracy/mean"}
    assert expected <= set(first.metrics)
    written = json.loads((context.output / "evaluation.json").read_text())
    assert written["metrics"] == first.metrics
    assert set(first.samples[0]) == {"domain", "prompt", "answer", "score"}


def test_a_headline_that_is_not_measured_is_refused(
    tmp_path: Path, model_artifact: Artifact, tokens_artifact: Artifact
) -> None:
    inputs = {"model": model_artifact, "tokens": tokens_artifact}
    config = settings(headline="loss/cod", long_context=None, accuracy=None)
    with pytest.raises(ConfigError, match="did you mean loss/code"):
        evaluate.run(StageContext.for_test("evaluate", config, inputs, tmp_path))


def test_a_damaged_checkpoint_is_one_line(tmp_path: Path, model_artifact: Artifact) -> None:
    (tmp_path / "config.json").write_text((model_artifact.checkpoint / "config.json").read_text())
    with pytest.raises(CheckpointError, match="cannot be loaded") as caught:
        load_model(tmp_path, "fp32", "sdpa")
    assert "\n" not in str(caught.value)
    weights = (model_artifact.checkpoint / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights[:-100])
    with pytest.raises(CheckpointError, match="cannot be loaded") as caught:
        load_model(tmp_path, "fp32", "sdpa")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": None, "long_context": None, "accuracy": None}, "all null, set one"),
        ({"loss": {"context": 0}}, "context is 0, set 1 or more"),
        ({"los": {}}, "did you mean loss"),
        (
            {"long_context": {"beyond": 512, "contexts": [256], "domains": ["code"]}},
            "not reach beyond 512",
        ),
    ],
)
def test_settings_are_checked(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings(**changes)


def test_settings_are_read_without_torch() -> None:
    code = "import sys, pipeline.evaluation.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
