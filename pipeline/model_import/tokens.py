"""What a tokenizer of elsewhere lacks and the stages need: an end, a padding token, ids that the model has."""

from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from pipeline.core.errors import CheckpointError
from pipeline.model_import.config import ImportModelConfig
from pipeline.model_import.source import WHERE
from pipeline.tokenization.special_tokens import PAD

FREE_FOR_PADDING = (PAD, "<pad>", "[PAD]", "<|finetune_right_pad_id|>")
"""Tokens that tokenizers hold ready for padding without saying so; the last is Llama 3's."""


def load_tokenizer(folder: Path) -> Any:
    """The fast tokenizer of a folder.

    From tokenizer.json as it is: the classes that configurations name rebuild it from the vocabulary, with another
    split into words where the file's is not the class's own, as Granite's.

    Raises:
        CheckpointError: if there is no tokenizer that can be loaded.
    """
    loader: Any = PreTrainedTokenizerFast if (folder / "tokenizer.json").is_file() else AutoTokenizer
    try:
        tokenizer = loader.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    # The formats that a tokenizer can have raise whatever the libraries that convert them do.
    except Exception as error:
        raise CheckpointError(
            f"{folder}: its tokenizer cannot be loaded ({' '.join(str(error).split())}); add its tokenizer.json"
        ) from None
    if not tokenizer.is_fast:
        raise CheckpointError(f"{folder}: its tokenizer has no tokenizer.json, which masks and offsets need; add it")
    return tokenizer


def complete_tokenizer(tokenizer: Any, config: ImportModelConfig, rows: int, where: str) -> list[str]:
    """Gives a tokenizer, in place, the end-of-sequence and padding tokens that stages need.

    Padding is a token of its own wherever the model has one: what follows the end of a conversation must not be taken
    for its end. Where nothing is free a token is added, if the model's embeddings have a row for it.

    Args:
        tokenizer: a fast one.
        config: which tokens to take.
        rows: of the model's embeddings.
        where: the tokenizer's folder, to name in errors.

    Returns:
        What was changed, a line each.

    Raises:
        CheckpointError: for a token that is not in the vocabulary, one that is missing, or ids that the model has not.
    """
    vocabulary, changes = tokenizer.get_vocab(), []
    ids = max(vocabulary.values()) + 1
    if ids > rows:
        raise CheckpointError(
            f"{where}: its tokenizer has ids up to {ids - 1:,}, its model {rows:,} embeddings; import a folder whose "
            "tokenizer is the model's, or grow the model with transformers' resize_token_embeddings"
        )
    if ids < rows:
        changes.append(f"the model has {rows - ids:,} embeddings beyond the tokenizer's {ids:,} ids: kept, unused")
    for name, token in (("eos_token", config.eos_token), ("pad_token", config.pad_token)):
        if token is not None and token not in vocabulary:
            raise CheckpointError(f"{WHERE}.{name}={token}: not in the vocabulary of {where}, set a token that is")
    if config.eos_token is not None:
        changes.append(f"the end-of-sequence token is {config.eos_token}, as set; it was {tokenizer.eos_token}")
        tokenizer.eos_token = config.eos_token
    if tokenizer.eos_token is None or tokenizer.eos_token not in vocabulary:
        raise CheckpointError(f"{where}: no end-of-sequence token; set {WHERE}.eos_token to what ends its texts")
    own = tokenizer.pad_token
    if config.pad_token is None and own is not None and own in vocabulary and own != tokenizer.eos_token:
        return changes
    token = config.pad_token or _free_for_padding(tokenizer, ids < rows)
    if token is None:
        raise CheckpointError(
            f"{where}: no token for padding is free; set {WHERE}.pad_token to one of its vocabulary that no text has"
        )
    # Adds a token that the vocabulary does not have.
    tokenizer.add_special_tokens({"pad_token": token})
    return [*changes, f"the padding token is {token}; it was {own}"]


def _free_for_padding(tokenizer: Any, may_add: bool) -> str | None:
    vocabulary = tokenizer.get_vocab()
    for token in (*FREE_FOR_PADDING, tokenizer.unk_token):
        if token in vocabulary and token != tokenizer.eos_token:
            return token
    return PAD if may_add else None
