"""Answers chat prompts with a released folder, in a process that cannot import this package.

It is started by path in an isolated interpreter: `python -I standalone.py <folder> <maximum new tokens>`. Prompts come
as a JSON list on standard input; answers go as a JSON list to the last line of standard output.
"""

import importlib
import json
import sys
from typing import Any

# Even where the package is installed, importing it fails from here on.
modules: dict[str, Any] = sys.modules
modules["pipeline"] = None


def main(folder: str, maximum_new_tokens: int, prompts: list[str]) -> list[str]:
    """Loads the folder with transformers and decodes the answer to each prompt greedily, one after the other."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    model = model.to(device)
    answers = []
    for prompt in prompts:
        inputs = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}],
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        ).to(device)
        output = model.generate(**inputs, do_sample=False, max_new_tokens=maximum_new_tokens)
        answers.append(tokenizer.decode(output[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
    return answers


if __name__ == "__main__":
    try:
        importlib.import_module("pipeline")
    except ImportError:
        pass
    else:
        sys.exit("this process can import the package it is to do without")
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), json.load(sys.stdin))))
