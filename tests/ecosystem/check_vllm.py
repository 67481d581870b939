"""A released folder in vLLM on the CPU: loss and greedy tokens, and an answer by its chat interface."""

import json
import sys
from pathlib import Path

import vllm  # pyright: ignore[reportMissingImports]
from vllm import LLM, SamplingParams, TokensPrompt  # pyright: ignore[reportMissingImports]

if __name__ == "__main__":
    folder = sys.argv[1]
    reference = json.loads((Path(folder) / "reference.json").read_text())
    model = LLM(folder, dtype="float32", enforce_eager=True, max_model_len=512, seed=0)
    tokenizer = model.get_tokenizer()
    total, count = 0.0, 0
    for ids in reference["sequences"]:
        asked = SamplingParams(max_tokens=1, prompt_logprobs=0)
        prompt = model.generate(TokensPrompt(prompt_token_ids=ids), asked)[0].prompt_logprobs
        total -= sum(found[token].logprob for found, token in zip(prompt[1:], ids[1:], strict=True))
        count += len(ids) - 1
    greedy = SamplingParams(temperature=0.0, max_tokens=reference["maximum_new_tokens"])
    completions = [
        list(model.generate(TokensPrompt(prompt_token_ids=each["prompt"]), greedy)[0].outputs[0].token_ids)
        for each in reference["completions"]
    ]
    prompts = [
        list(model.chat([{"role": "user", "content": text["prompt"]}], greedy)[0].prompt_token_ids)
        for text in reference["texts"]
        if text["chat"]
    ]
    found = {"version": vllm.__version__, "loss": total / count, "completions": completions, "prompts": prompts}
    print(json.dumps(found))
