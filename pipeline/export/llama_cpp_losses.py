"""Measures a GGUF file with llama.cpp: python -I llama_cpp_losses.py FILE PASSAGES LOSSES.

PASSAGES is JSON, a list of lists of token ids; LOSSES is written in the same form, without the first token of each, in
nats. A program of its own, as a fault in the runtime would end this package's process.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import xllamacpp  # pyright: ignore[reportMissingImports]

FORCED = 1e6
"""Bias that has a token sampled. The probability that the server reports is that before any bias."""
MAXIMUM_VOCABULARY = 1_000_000
"""More tokens than any vocabulary has, to ask for all."""


def main(file: str, passages: str, losses: str) -> None:
    """Asks for the next token once for each; the server keeps what it has read of a passage."""
    texts = json.loads(Path(passages).read_text())
    parameters = xllamacpp.CommonParams()
    parameters.model.path = file
    parameters.n_ctx = max(len(each) for each in texts) + 1
    parameters.n_parallel = 1
    if threads := os.environ.get("OMP_NUM_THREADS"):
        parameters.cpuparams.n_threads = int(threads)
    parameters.warmup = False
    parameters.verbosity = 1
    # The file's own chat template says nothing about its weights.
    parameters.use_jinja = False
    parameters.chat_template = "chatml"
    server = xllamacpp.Server(parameters)
    whole = next(token for token in texts[0] if sampled(server, texts[0][:1], token, 1) is not None)
    measured = [[loss(server, tokens[:at], tokens[at], whole) for at in range(1, len(tokens))] for tokens in texts]
    Path(losses).write_text(json.dumps(measured))


def loss(server: Any, before: list[int], token: int, whole: int) -> float:
    """Nats of one token after those before it; `whole` is any token that is a text by itself.

    The server says nothing of a token that is a part of a character. Then it is found among all that could have come
    in the place of another one.
    """
    found = sampled(server, before, token, 1)
    if found is not None:
        return -found["logprob"]
    others = sampled(server, before, whole, MAXIMUM_VOCABULARY)
    assert others is not None
    return -next(each["logprob"] for each in others["top_logprobs"] if each["id"] == token)


def sampled(server: Any, before: list[int], token: int, alternatives: int) -> dict[str, Any] | None:
    """What the server says of a token that it is made to sample, and of the likeliest ones; None if it says nothing."""
    answer = server.handle_completions(
        {
            "prompt": before,
            "n_predict": 1,
            "n_probs": alternatives,
            "samplers": ["temperature"],
            "temperature": 0.0,
            "logit_bias": [[token, FORCED]],
            "cache_prompt": True,
        }
    )
    said = answer["choices"][0]["logprobs"]
    if not said or not said["content"]:
        return None
    if said["content"][0]["id"] != token:
        raise ValueError(f"token {said['content'][0]['id']} came where {token} was asked for")
    return said["content"][0]


if __name__ == "__main__":
    main(*sys.argv[1:])
