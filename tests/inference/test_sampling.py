"""Decoding: greedy as transformers does it, sampled from the model's distribution, each completion for itself."""

from collections import Counter
from typing import Any

import pytest
import torch

from pipeline.inference.loading import load_model
from pipeline.inference.sampling import decode, reply_seed
from tests.posttraining.tiny import write_model

PROMPTS = [[300, 301, 302, 303, 304], [310], [320, 321, 322], [310]]
SEEDS = [reply_seed("test", number) for number in range(len(PROMPTS))]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory = tmp_path_factory.mktemp("model")
    write_model(directory)
    return load_model(directory / "checkpoint").model


def test_greedy_is_what_transformers_decodes(model: Any) -> None:
    expected = [
        model.generate(torch.tensor([prompt]), max_new_tokens=8, do_sample=False, eos_token_id=None)[0, len(prompt) :]
        for prompt in PROMPTS
    ]
    assert decode(model, PROMPTS, None, max_new_tokens=8, end_tokens=[]) == [each.tolist() for each in expected]
    end = int(expected[0][2])
    (found,) = decode(model, PROMPTS[:1], None, max_new_tokens=8, end_tokens=[end])
    assert found == expected[0].tolist()[: expected[0].tolist().index(end) + 1]


def test_a_completion_is_its_seeds_alone(model: Any) -> None:
    ends = list(range(128))
    together = decode(model, PROMPTS, SEEDS, max_new_tokens=12, end_tokens=ends)
    for prompt, seed, found in zip(PROMPTS, SEEDS, together, strict=True):
        assert decode(model, [prompt], [seed], max_new_tokens=12, end_tokens=ends) == [found]
    assert decode(model, PROMPTS[::-1], SEEDS[::-1], max_new_tokens=12, end_tokens=ends) == together[::-1]
    assert len({len(each) for each in together}) > 1, "all ended at once"
    assert together[1] != together[3], "equal prompts have seeds of their own"


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.02, 1.0), (0.02, 0.5)])
def test_tokens_come_as_often_as_they_are_probable(model: Any, temperature: float, top_p: float) -> None:
    count = 4000
    found = decode(
        model,
        [PROMPTS[0]] * count,
        [reply_seed("often", number) for number in range(count)],
        max_new_tokens=1,
        end_tokens=[],
        temperature=temperature,
        top_p=top_p,
    )
    counted = Counter(token for (token,) in found)
    with torch.no_grad():
        probabilities = (model(torch.tensor([PROMPTS[0]])).logits[0, -1] / temperature).softmax(-1)
    kept, total = dict.fromkeys(range(len(probabilities)), 0.0), 0.0
    for token in probabilities.argsort(descending=True).tolist():
        if total < top_p:
            kept[token] = float(probabilities[token])
            total += kept[token]
    assert set(counted) <= {token for token, probability in kept.items() if probability}
    for token, probability in kept.items():
        expected = probability / total
        # Six standard deviations.
        assert abs(counted[token] / count - expected) <= 6 * (expected * (1 - expected) / count) ** 0.5 + 1e-3, token
