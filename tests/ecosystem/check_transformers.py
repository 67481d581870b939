"""A released folder in a version of transformers, by the very script that the release was measured with."""

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

folder, standalone = sys.argv[1:]
reference = json.loads((Path(folder) / "reference.json").read_text())
command = [sys.executable, "-I", standalone, folder, str(reference["maximum_new_tokens"])]
done = subprocess.run(command, input=json.dumps(reference["texts"]), stdout=subprocess.PIPE, text=True, check=True)
measured = json.loads(done.stdout.strip().splitlines()[-1])
completions = [completion["completion"] for completion in measured["completions"]]
made = zip(measured["completions"], reference["texts"], strict=True)
prompts = [completion["prompt"] for completion, text in made if text["chat"]]
versions = f"{version('transformers')} (torch {version('torch')})"
print(json.dumps({"version": versions, "loss": measured["loss"], "completions": completions, "prompts": prompts}))
