"""Measures a GGUF file with llama.cpp: python -I llama_cpp_losses.py FILE PASSAGES LOSSES.

PASSAGES is JSON, a list of lists of token ids; LOSSES is written in the same form, without the first token of each, in
nats. A program of its own, as a fault in the runtime would end this package's process.
"""

import json
import sys
from pathlib import Path
from typing import Any

import xllamacpp

FORCED = 1e6
"""Bias that has a token sampled. The probability that the server reports is that before any bias."""


def main(file: str, passages: str, losses: str) -> None:
    """Asks for the next token once for each; the server keeps what it has read of a passage."""
    texts = json.loads(Path(passages).read_text())
    parameters = xllamacpp.CommonParams()
    parameters.model.path = file
    parameters.n_ctx = max(len(each) for each in texts) + 1
    parameters.n_parallel = 1
    parameters.warmup = False
    parameters.verbosity = 1
    # The file's own chat template says nothing about its weights.
    parameters.use_jinja = False
    parameters.chat_template = "chatml"
    server = xllamacpp.Server(parameters)
    measured = [[loss(server, tokens[:at], tokens[at]) for at in range(1, len(tokens))] for tokens in texts]
    Path(losses).write_text(json.dumps(measured))


def loss(server: Any, before: list[int], token: int) -> float:
    """Nats of one token after those before it."""
    answer = server.handle_completions(
        {
            "prompt": before,
            "n_predict": 1,
            "n_probs": 1,
            "samplers": ["temperature"],
            "temperature": 0.0,
            "logit_bias": [[token, FORCED]],
            "cache_prompt": True,
        }
    )
    (sampled,) = answer["choices"][0]["logprobs"]["content"]
    if sampled["id"] != token:
        raise ValueError(f"token {sampled['id']} came where {token} was asked for")
    return -sampled["logprob"]


if __name__ == "__main__":
    main(*sys.argv[1:])
