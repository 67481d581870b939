"""Stages through the worker on this device: the first two phases, SFT, and one step of GRPO.

The phases train on the run that `gpu_session.py pack` made. Without it, and for SFT and GRPO always, a run is made
here: its text are problems of the environments with their solutions, its tokenizer is trained on them, its policy is
random.
"""

import dataclasses
import itertools
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch
from gpu_session import PACKED_RUN
from pretraining import write_shard
from transformers import AutoTokenizer

from pipeline.control.compose import compose, typed
from pipeline.control.frozen_stages import FrozenStage, write_frozen
from pipeline.core.artifact import PARTIAL, Manifest, load, publish
from pipeline.core.config import RunConfig, build, fingerprint
from pipeline.core.files import write_json
from pipeline.environments import ENVIRONMENT_NAMES, Problem, ProblemConfig, problems
from pipeline.posttraining.data.tokenized import write_tokens
from pipeline.pretraining.engine.checkpoints import save_model
from pipeline.pretraining.model.model import build_model, granite_config, initialize
from pipeline.pretraining.model_config import ModelConfig
from pipeline.stages import stage_type
from pipeline.tokenization.shards import token_type
from pipeline.tokenization.tokenizer import save_tokenizer, tokenizer_fingerprint, train_tokenizer

VOCABULARY = 512
"""What text of problems suffices for."""
PROBLEMS_PER_ENVIRONMENT = 200
DRY_PHASE = {"tokens": 1024, "context": 64, "sequences_per_step": 4, "sequences_per_rank": 2, "max_epochs": 1e6}
DRY_RL = {
    "prompts": 2, "prompts_per_step": 2, "samples_per_prompt": 4, "completions_per_device": 8,
    "max_prompt_length": 128, "max_completion_length": 8,
    "probe.prompts_per_domain": 1, "probe.samples_per_prompt": 2,
}  # fmt: skip
SFT = {"max_length": 4096, "sequences_per_step": 8, "sequences_per_device": 4}
DRY_SFT = {"max_length": 512, "sequences_per_step": 4, "sequences_per_device": 4, "max_completion_length": 8}
MEASURED = ("throughput/tokens_per_second", "throughput/model_flops_utilisation", "memory/device_peak_bytes")


def phases(dry: bool, work: Path, packed: Path | None) -> Iterator[dict[str, Any] | str]:
    """Phases 1 and 2: held-out loss before and after, speed."""
    if packed is not None:
        shutil.copytree(packed / "run" / PACKED_RUN, work / PACKED_RUN)
        yield "Tokens of smoke_gpu's corpus."
    else:
        changes = {"max_epochs": 1e6, **(DRY_PHASE if dry else {})}
        made_run(dry, work, {f"stages.{stage}.config.{key}": value for stage in ("phase1", "phase2")
                             for key, value in changes.items()}, ("phase1", "phase2"))  # fmt: skip
        yield "Tokens of problems, since no packed run was given."
    for stage in ("phase1", "phase2"):
        yield worked(work / PACKED_RUN / stage, "loss", MEASURED)


def sft(dry: bool, work: Path, packed: Path | None) -> Iterator[dict[str, Any] | str]:
    """SFT of a random model on packed conversations, with each implementation of attention."""
    yield "A random model on problems and their solutions, packed."
    for attention in ("sdpa",) if dry else ("flex_attention", "sdpa"):
        changes = {
            "packing": True, "attention": attention, "epochs": 1, "text_replay": None,
            "probe.prompts_per_domain": 4, "probe.samples_per_prompt": 2, **(DRY_SFT if dry else SFT),
        }  # fmt: skip
        root = work / attention
        root.mkdir()
        made_run(dry, root, {f"stages.sft.config.{key}": value for key, value in changes.items()}, ("sft",))
        yield {"attention": attention, **worked(root / PACKED_RUN / "sft", "loss", ("steps",))}


def rl(dry: bool, work: Path, packed: Path | None) -> Iterator[dict[str, Any] | str]:
    """One step of GRPO on a random model, with rewards measured before and after."""
    config = typed(compose([f"scale={scale(dry)}"])).stages["rl_math"]
    assert config is not None
    changes = DRY_RL if dry else {"prompts": config.config["prompts_per_step"], "probe.prompts_per_domain": 8}
    made_run(dry, work, {f"stages.rl_math.config.{key}": value for key, value in changes.items()}, ("rl_math",))
    yield "A random policy: what is shown is that it works, and how long it takes."
    yield worked(work / PACKED_RUN / "rl_math", "mean reward", ("steps", "train/kl_last"))


def scale(dry: bool) -> str:
    """The configuration that is run."""
    return "smoke" if dry else "smoke_gpu"


def made_run(dry: bool, root: Path, changes: dict[str, Any], wanted: tuple[str, ...]) -> None:
    """Writes a run with the wanted stages frozen, and what they read finished."""
    overrides = [f"{key}={value}" for key, value in {
        "scale": scale(dry), "run": PACKED_RUN, "root": root, "tracking": "off",
        "model.vocab_size": VOCABULARY, **changes,
    }.items()]  # fmt: skip
    config = typed(compose(overrides))
    examples = [
        each
        for environment in ENVIRONMENT_NAMES
        for each in problems(
            environment, PROBLEMS_PER_ENVIRONMENT, 0, "train", ProblemConfig(difficulty=1, assistant="it")
        )
    ]
    texts = [f"{each.prompt}\n{each.solution}" for each in examples]
    random.Random(0).shuffle(texts)
    tokenizer = root / "tokenizer"
    save_tokenizer(train_tokenizer(texts, VOCABULARY), tokenizer)

    def write_policy(output: Path) -> None:
        shape = build(ModelConfig, config.model, "model")
        model = build_model(granite_config(shape, 1024, 10_000.0))
        initialize(model, shape, seed=1)
        state = {name: value for name, value in model.state_dict().items() if name != "lm_head.weight"}
        save_model(state, model, AutoTokenizer.from_pretrained(tokenizer), output / "checkpoint")

    writers: dict[str, Callable[[Path], Any]] = {
        "tokenizer": lambda output: shutil.copytree(tokenizer, output / "tokenizer"),
        "tokenize": lambda output: write_domains(output / "tokens", texts, tokenizer, domains),
        "sft_data": lambda output: write_conversations(output, tokenizer, examples),
    }
    stages = [frozen(config, name) for name in wanted]
    domains = {name for stage in stages for name in stage.config.get("mixture", ())}
    for stage in stages:
        for upstream in stage.inputs.values():
            name = upstream["stage"]
            if name not in wanted and not (root / PACKED_RUN / name).exists():
                finish(frozen(config, name), root, writers.get(name, write_policy))
        write_frozen(stage.directory(root), stage)


def frozen(config: RunConfig, name: str) -> FrozenStage:
    """A stage as `pipeline.control.frozen_stages.freeze` gives it, but for the fingerprint, which would need the
    packages that the corpus is made of."""
    stage = config.stages[name]
    assert stage is not None
    return FrozenStage(
        run=config.run,
        stage=name,
        kind=stage.kind,
        version=stage_type(stage.kind, name).version,
        fingerprint=fingerprint(name),
        seed=config.seed,
        verify_hashes=config.verify_hashes,
        inputs={role: {"stage": each, "fingerprint": fingerprint(each)} for role, each in stage.inputs.items()},
        config=stage.config,
        tracking=dataclasses.asdict(config.tracking),
        resources=dataclasses.asdict(stage.resources),
    )


def finish(stage: FrozenStage, root: Path, write: Callable[[Path], Any]) -> None:
    """Publishes a stage with what `write` writes into its output."""
    directory = stage.directory(root)
    (directory / PARTIAL).mkdir(parents=True)
    write(directory / PARTIAL)
    publish(directory, Manifest(stage=stage.stage, kind=stage.kind, fingerprint=stage.fingerprint,
                                inputs=stage.inputs, files={}))  # fmt: skip


def write_domains(directory: Path, texts: list[str], tokenizer: Path, domains: set[str]) -> None:
    """Shards with the same texts for every domain."""
    loaded: Any = AutoTokenizer.from_pretrained(tokenizer)
    documents = [[*loaded.encode(text, add_special_tokens=False), loaded.eos_token_id] for text in texts]
    ids = numpy.array(list(itertools.chain.from_iterable(documents)), dtype="<u2")
    ends = numpy.cumsum([len(each) for each in documents]).astype("<u8")
    described = {domain: write_shard(directory / domain, ids, ends) for domain in sorted(domains)}
    write_json(directory / "index.json", {
        "dtype": token_type(VOCABULARY), "vocab_size": VOCABULARY, "tokenizer": tokenizer_fingerprint(tokenizer),
        "domains": described,
    })  # fmt: skip


def write_conversations(output: Path, tokenizer: Path, examples: Sequence[Problem]) -> None:
    """Every problem as a conversation, tokenized; every eleventh for validation."""
    for split, chosen in (
        ("train", [each for i, each in enumerate(examples) if i % 11]),
        ("validation", examples[::11]),
    ):
        rows = []
        for number, each in enumerate(chosen):
            turns = [*each.before, ("user", each.prompt), ("assistant", each.solution)]
            messages = [{"role": role, "content": content} for role, content in turns]
            rows.append({"id": str(number), "messages": messages})
        (output / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_tokens(output, tokenizer)


def worked(directory: Path, measure: str, metrics: tuple[str, ...]) -> dict[str, Any]:
    """Runs the worker of a frozen stage: what its manifest says.

    Raises:
        RuntimeError: with the end of what it said, if it failed.
    """
    environment = {**os.environ} if torch.cuda.is_available() else {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.worker", str(directory)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(
            f"{directory.name}: exit code {done.returncode}\n{done.stdout[-1000:]}\n{done.stderr[-4000:]}"
        )
    manifest = load(directory).manifest
    found = {name.rpartition("/")[2]: manifest.metrics[name] for name in metrics if name in manifest.metrics}
    return {"stage": directory.name, f"{measure} before": manifest.before, f"{measure} after": manifest.after,
            "tokens": manifest.tokens, **found, "seconds": manifest.seconds}  # fmt: skip
