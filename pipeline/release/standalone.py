"""Measures and answers with a released folder, in a process that cannot import this package.

It is started by path in an isolated interpreter: `python -I standalone.py <folder> <maximum new tokens>`, with any
transformers from 4.56 on. Texts come as a JSON list on standard input; a JSON object with what came of them goes to the
last line of standard output.
"""

import importlib
import json
import sys
from typing import Any

# Even where the package is installed, importing it fails from here on.
modules: dict[str, Any] = sys.modules
modules["pipeline"] = None


def main(folder: str, maximum_new_tokens: int, texts: list[dict[str, Any]]) -> dict[str, Any]:
    """Loads the folder with transformers, measures its loss on texts and continues their prompts greedily.

    On a CPU all is computed in fp32, so that other versions and programs can be compared with it to the last digits; on
    a GPU in the precision of the weights, which may not fit otherwise.

    Args:
        folder: to be loaded.
        maximum_new_tokens: tokens of an answer, at most.
        texts: dictionaries with `prompt`, `response`, and `chat`: whether the prompt is a user's message, and the
            response the assistant's, or both are plain text.

    Returns:
        `sequences`, the ids of each text; `loss`, nats per token over all of their tokens but the first of each;
        `completions`, for each text `prompt` and `completion` as ids and the completion's `text`; the versions.
    """
    import torch
    import transformers
    from torch.nn import functional
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype="auto" if device == "cuda" else torch.float32)
    model = model.to(device).eval()

    def encode(text: dict[str, Any], with_response: bool) -> list[int]:
        prompt, response = text["prompt"], text["response"]
        if not text["chat"]:
            whole = prompt + response if with_response else prompt
            return tokenizer(whole, add_special_tokens=False)["input_ids"]
        messages = [{"role": "user", "content": prompt}]
        messages += [{"role": "assistant", "content": response}] if with_response else []
        return tokenizer.apply_chat_template(messages, add_generation_prompt=not with_response, return_dict=True)[
            "input_ids"
        ]

    sequences = [encode(text, with_response=True) for text in texts]
    total, count = 0.0, 0
    completions = []
    with torch.inference_mode():
        for ids in sequences:
            logits = model(torch.tensor([ids], device=device)).logits[0, :-1].float()
            total += functional.cross_entropy(logits, torch.tensor(ids[1:], device=device), reduction="sum").item()
            count += len(ids) - 1
        for text in texts:
            prompt = encode(text, with_response=False)
            inputs = torch.tensor([prompt], device=device)
            output = model.generate(
                inputs,
                attention_mask=torch.ones_like(inputs),
                do_sample=False,
                max_new_tokens=maximum_new_tokens,
            )
            completion = output[0, len(prompt) :].tolist()
            answer = tokenizer.decode(completion, skip_special_tokens=True)
            completions.append({"prompt": prompt, "completion": completion, "text": answer})
    return {
        "precision": str(model.dtype).removeprefix("torch."),
        "device": device,
        "transformers": transformers.__version__,
        "torch": torch.__version__,
        "loss": total / count,
        "sequences": sequences,
        "completions": completions,
    }


if __name__ == "__main__":
    try:
        importlib.import_module("pipeline")
    except ImportError:
        pass
    else:
        sys.exit("this process can import the package it is to do without")
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), json.load(sys.stdin))))
