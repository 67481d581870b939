"""What a model cannot be asked, found before anything is measured: in a second, not in the middle of hours."""

from pathlib import Path
from typing import Any

from pipeline.core.config import nearest
from pipeline.core.errors import CheckpointError, ConfigError
from pipeline.evaluation.bench import Bench
from pipeline.evaluation.config import EvaluateConfig
from pipeline.evaluation.probes import probes
from pipeline.pretraining.data.stream import domains_with_validation
from pipeline.tokenization.shards import read_index


def check_model(bench: Bench) -> None:
    """Makes sure that a loaded model can be measured as the settings say.

    Raises:
        ConfigError: for a context beyond the model's limit, a domain that has no held-out tokens, or loss on tokens of
            another tokenizer than the model's.
        CheckpointError: for a tokenizer with more ids than the model has, and a model without a chat template where the
            settings chat.
    """
    config, tokenizer = bench.config, bench.loaded.tokenizer
    embedding: Any = bench.loaded.model.get_input_embeddings()
    ids, rows = len(tokenizer), embedding.weight.shape[0]
    if ids > rows:
        raise CheckpointError(
            f"{bench.folder}: its tokenizer has {ids} ids, the model {rows}; give one with the model's own tokenizer"
        )
    _check_contexts(bench)
    chats = "accuracy" if config.accuracy is not None else "harness.chat" if _chats(config) else ""
    if chats and not tokenizer.chat_template:
        raise CheckpointError(
            f"{bench.folder}: has no chat template, and {bench.where}.{chats} chats; take a suite for base models, or "
            "give a chat model"
        )
    probes.check(bench)
    if config.reads_tokens:
        _check_tokens(bench)


def _chats(config: EvaluateConfig) -> bool:
    return config.harness is not None and config.harness.chat


def _check_contexts(bench: Bench) -> None:
    """Of what has no other purpose than the model's own context: windows of long context measure beyond it too."""
    settings: Any = bench.loaded.model.config
    limit = getattr(settings, "max_position_embeddings", None) or getattr(settings, "n_positions", None)
    if limit is None:
        return
    config = bench.config
    wanted = {"text.context": config.text.context} if config.text else {}
    wanted |= {"probes.lengths": max(config.probes.lengths)} if config.probes else {}
    wanted |= {"loss.context": config.loss.context} if config.loss else {}
    for key, tokens in wanted.items():
        if tokens > limit:
            raise ConfigError(
                f"{bench.where}.{key}={tokens}: beyond the model's {limit} tokens, set at most {limit} "
                f"({key}={[limit] if key == 'probes.lengths' else limit})"
            )


def _check_tokens(bench: Bench) -> None:
    named = ", ".join(bench.config.reads_tokens)
    if bench.tokens is None:
        raise ConfigError(
            f"{bench.where}: {named} is measured on tokens, and there are none; name a stage that tokenizes, or set "
            f"{' and '.join(f'{each}=null' for each in bench.config.reads_tokens)}"
        )
    if bench.config.long_context is not None:
        domains = domains_with_validation(bench.tokens)
        for domain in bench.config.long_context.domains:
            if domain not in domains:
                raise ConfigError(
                    f"{bench.where}.long_context.domains: {domain} has no held-out tokens, {nearest(domain, domains)}"
                )
    if not same_vocabulary(bench.loaded.tokenizer, bench.tokenizer, bench.tokens):
        raise ConfigError(
            f"{bench.where}: {named} is measured on tokens of another tokenizer than the model's ({bench.tokens}); "
            f"set {' and '.join(f'{each}=null' for each in bench.config.reads_tokens)}: text.held_out measures the "
            "same documents in bits per byte, which any tokenizer can"
        )


def same_vocabulary(tokenizer: Any, folder: Path | None, tokens: Path) -> bool:
    """Whether a model's tokenizer gives the ids that a run's tokens have.

    Args:
        tokenizer: the model's.
        folder: of the tokenizer that made the tokens; None where it is not known.
        tokens: their folder, whose index says how many ids there are.
    """
    if folder is None:
        return len(tokenizer) <= read_index(tokens)["vocab_size"]
    from transformers import AutoTokenizer

    made: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return made.get_vocab() == tokenizer.get_vocab()
