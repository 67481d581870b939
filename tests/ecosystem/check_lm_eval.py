"""A released folder in lm-evaluation-harness: a local task whose answers are the greedy completions of the release."""

import json
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

TASK = """\
task: released
dataset_path: json
dataset_kwargs: {{data_files: {{test: {data}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{answer}}}}"
generation_kwargs: {{until: [], do_sample: false, max_gen_toks: {tokens}}}
metric_list: [{{metric: exact_match}}]
"""

folder = sys.argv[1]
reference = json.loads((Path(folder) / "reference.json").read_text())
chat = all(text["chat"] for text in reference["texts"])
with tempfile.TemporaryDirectory() as work:
    data = Path(work) / "data.jsonl"
    texts = [text["prompt"] for text in reference["texts"]]
    answers = [completion["text"] for completion in reference["completions"]]
    rows = [{"prompt": text, "answer": answer} for text, answer in zip(texts, answers, strict=True)]
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    task = TASK.format(data=json.dumps(str(data)), tokens=reference["maximum_new_tokens"])
    (Path(work) / "released.yaml").write_text(task)
    command = [
        sys.executable, "-m", "lm_eval", "--model", "hf", "--device", "cpu", "--tasks", "released",
        "--model_args", f"pretrained={folder},dtype=float32", "--include_path", work,
        "--output_path", f"{work}/results",
        *(["--apply_chat_template"] if chat else []),
    ]  # fmt: skip
    offline = {"HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "HF_HOME": f"{work}/cache"}
    subprocess.run(command, env={**os.environ, **offline}, check=True, stdout=sys.stderr)
    (results,) = (Path(work) / "results").rglob("results_*.json")
    found = json.loads(results.read_text())["results"]["released"]
print(json.dumps({"version": version("lm_eval"), "exact_match": found["exact_match,none"]}))
