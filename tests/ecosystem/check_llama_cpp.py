"""A released folder in llama.cpp, as a GGUF file: loss and greedy tokens, and an answer by its own template engine.

Arguments: the folder, and the GGUF file with its weights in fp32.
"""

import json
import sys
from pathlib import Path
from typing import Any

import xllamacpp  # pyright: ignore[reportMissingImports]

# A bias that has a token sampled; the server reports the probability before any bias.
FORCED = 1e6

folder, file = sys.argv[1:]
reference = json.loads((Path(folder) / "reference.json").read_text())
parameters = xllamacpp.CommonParams()
parameters.model.path = file
parameters.n_ctx = 1024
parameters.n_parallel = 1
parameters.warmup = False
parameters.use_jinja = True
parameters.cache_type_k = parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
server = xllamacpp.Server(parameters)


def sampled(prompt: list[int], count: int, **options: Any) -> list[dict[str, Any]]:
    """The tokens after a prompt with their log-probabilities."""
    request = {"prompt": prompt, "n_predict": count, "n_probs": 1, "temperature": 0.0, "samplers": ["temperature"]}
    answer = server.handle_completions({**request, "cache_prompt": True, **options})
    if "choices" not in answer:
        raise SystemExit(f"llama.cpp: {answer}")
    return answer["choices"][0]["logprobs"]["content"]


total, count = 0.0, 0
for ids in reference["sequences"]:
    for place in range(1, len(ids)):
        total -= sampled(ids[:place], 1, logit_bias=[[ids[place], FORCED]])[0]["logprob"]
        count += 1
completions = []
for each in reference["completions"]:
    completions.append([token["id"] for token in sampled(each["prompt"], reference["maximum_new_tokens"])])
answers = []
for text in reference["texts"]:
    if text["chat"]:
        request = {"messages": [{"role": "user", "content": text["prompt"]}], "temperature": 0.0}
        answer = server.handle_chat_completions({**request, "max_tokens": reference["maximum_new_tokens"]})
        answers.append(answer["choices"][0]["message"]["content"] if "choices" in answer else str(answer))
print(
    json.dumps(
        {"version": xllamacpp.__version__, "loss": total / count, "completions": completions, "answers": answers}
    )
)
