from typing import Any

import pytest
import torch

from pipeline.core.artifact import Artifact
from pipeline.core.errors import DataError
from pipeline.evaluation.needle import NeedleExample, evaluate_needles, held_out_text, needle_examples
from pipeline.inference.loading import LoadedModel


def test_haystacks_have_their_length_and_hide_the_needle_once(loaded: LoadedModel, tokens_artifact: Artifact) -> None:
    text = held_out_text(tokens_artifact.directory / "tokens", ["code"])
    tokenizer: Any = loaded.tokenizer
    examples = needle_examples(text, loaded.tokenizer, 256, 8, 6, seed=3)
    assert examples == needle_examples(text, loaded.tokenizer, 256, 8, 6, seed=3)
    for example in examples:
        value = tokenizer.decode(example.answer)
        prompt = tokenizer.decode(example.prompt)
        assert len(value) == 6
        assert f"{value}.\n" in prompt
        assert prompt.endswith(" is ")
        assert value not in tokenizer.decode(example.prompt_without_needle)
        assert len(example.prompt) == len(example.prompt_without_needle)
        assert len(example.prompt) + len(example.answer) == 256
        joined = tokenizer.encode(tokenizer.decode(example.prompt[-12:]) + value)
        assert joined[-len(example.answer) :] == example.answer
    with pytest.raises(DataError, match="too short for a needle"):
        needle_examples(text, loaded.tokenizer, 32, 1, 6, seed=3)


def test_retrieval_agrees_with_greedy_generation(loaded: LoadedModel) -> None:
    model = loaded.model
    prompt = [5, 6, 7, 8]
    sequence = torch.tensor([prompt])
    with torch.inference_mode():
        for _ in range(3):
            following = model(input_ids=sequence).logits[0, -1].argmax()
            sequence = torch.cat([sequence, following.view(1, 1)], dim=1)
    answer = sequence[0, len(prompt) :].tolist()
    right = evaluate_needles(model, [NeedleExample(prompt, prompt, answer)])
    wrong = evaluate_needles(model, [NeedleExample(prompt, prompt, [*answer[:-1], answer[-1] - 1])])
    assert (right.exact, wrong.exact) == (1.0, 0.0)
    assert right.gain == 0
    assert 0 < right.loss < wrong.loss
