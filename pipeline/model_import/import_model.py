"""The stage `import_model`: a causal language model of transformers → an artifact that stages take as a model."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, GenerationConfig

from pipeline.core.artifact import IMPORTED
from pipeline.core.context import StageContext, StageResult
from pipeline.core.errors import CheckpointError
from pipeline.core.files import write_json
from pipeline.model_import.config import ImportModelConfig
from pipeline.model_import.model_checks import checked_logits
from pipeline.model_import.source import fetch
from pipeline.model_import.templates import set_template
from pipeline.model_import.tokens import complete_tokenizer, load_tokenizer
from pipeline.pretraining.engine.checkpoints import token_ids


def run(context: StageContext[ImportModelConfig]) -> StageResult:
    """Writes `checkpoint/`, the model as stages read it, `tokenizer/`, its tokenizer alone, and `imported.json`.

    Weights keep their precision, and weights that are stored twice are stored once. Configurations name the tokens
    that the tokenizer says. `imported.json` holds the reference logits that a phase checks the loaded model with, where
    the model came from, and what was changed, which is printed to the log too.

    Raises:
        CheckpointError: for a model or tokenizer that cannot be loaded or that stages could not work with.
        ConfigError: for a folder that is not there, or has no unquantized safetensors.
        DataError: for a model of the hub that cannot be downloaded.
    """
    config = context.config
    context.progress.start(4, counted="steps", label="reading files")
    folder = fetch(config.path, config.revision)
    where = str(folder) if config.revision is None else f"{config.path} at {config.revision[:12]}"
    context.progress.start(4, counted="steps", label="loading", done=1)
    tokenizer = load_tokenizer(folder)
    model, changes = load_model(folder, where)
    rows = model.get_input_embeddings().weight.shape[0]
    changes += complete_tokenizer(tokenizer, config, rows, where)
    changes += set_template(tokenizer, config.chat_template, where)
    for line in changes:
        print(f"{where}: {line}", flush=True)

    context.progress.start(4, counted="steps", label="writing", done=2)
    ids = token_ids(tokenizer)
    model.config.update(ids)
    model.generation_config = GenerationConfig(**ids)
    model.save_pretrained(context.output / "checkpoint")
    for name in ("checkpoint", "tokenizer"):
        tokenizer.save_pretrained(context.output / name)
    dtype = str(model.dtype).removeprefix("torch.")

    context.progress.start(4, counted="steps", label="checking", done=3)
    logits = checked_logits(model.float(), where)
    parameters = model.num_parameters()
    write_json(
        context.output / IMPORTED,
        {
            "source": folder.name if config.revision is None else config.path,
            "revision": config.revision,
            "architecture": model.config.model_type,
            "dtype": dtype,
            "context": getattr(model.config, "max_position_embeddings", None),
            "logits": logits,
            "changes": changes,
        },
    )
    context.progress.advance()
    return StageResult(metrics={"parameters": float(parameters), "vocabulary": float(len(tokenizer))})


def load_model(folder: Path, where: str) -> tuple[Any, list[str]]:
    """The model of a folder, in the precision that it is stored in, on the CPU; and what is noted of it, a line each.

    An output layer that is stored beside the embeddings it is said to be tied to counts for itself if it differs.

    Args:
        folder: with safetensors; no code of it is run.
        where: what to call it in errors.

    Raises:
        CheckpointError: for a model that transformers has no causal language model for, or whose weights are not all
            there.
    """
    try:
        loader: Any = AutoModelForCausalLM
        model, info = loader.from_pretrained(
            folder,
            dtype="auto",
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"{where}: cannot be loaded ({' '.join(str(error).split())[:300]})") from None
    if missing := sorted(info["missing_keys"]):
        raise CheckpointError(
            f"{where}: lacks {len(missing)} weights of a {type(model).__name__}, such as {missing[0]}; import a folder "
            "that has all"
        )
    changes = [
        f"weights that {type(model).__name__} does not have are left out: {name}" for name in info["unexpected_keys"]
    ]
    embeddings, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    if model.config.tie_word_embeddings and head is not embeddings:
        model.config.tie_word_embeddings = False
        changes.append("its output layer differs from the embeddings that it is said to be tied to: kept apart")
    # Names code of its own for other loaders.
    if hasattr(model.config, "auto_map"):
        del model.config.auto_map
    return model.eval(), changes
