"""One vocabulary for all that meets in a phase: tokens, tokenizer, model and the checkpoint it continues from."""

from pathlib import Path

from pipeline.core.errors import CheckpointError, DataError
from pipeline.tokenization.shards import INDEX, read_index
from pipeline.tokenization.tokenizer import tokenizer_fingerprint


def check_vocabularies(
    vocab_size: int, tokenizer: Path, tokens: Path, checkpoint: Path | None, may_have_spare: bool = False
) -> None:
    """Checks that tokens, model and checkpoint have the vocabulary of one and the same tokenizer.

    Args:
        vocab_size: ids of the model.
        tokenizer: Hugging Face folder of the tokenizer.
        tokens: the `tokens/` folder.
        checkpoint: the Hugging Face folder that the phase continues from, None for the first phase.
        may_have_spare: whether the model may have more ids than the tokens, as checkpoints whose embeddings were
            rounded up.

    Raises:
        DataError: for tokens of another tokenizer, or of another number of ids than the model's.
        CheckpointError: for a checkpoint of another tokenizer.
    """
    index, fingerprint = read_index(tokens), tokenizer_fingerprint(tokenizer)
    if index["vocab_size"] != vocab_size and not (may_have_spare and index["vocab_size"] < vocab_size):
        raise DataError(
            f"{tokens / INDEX}: the tokens have {index['vocab_size']} ids, model.vocab_size is {vocab_size}; "
            "set model.vocab_size to theirs, or tokenize again"
        )
    if index["tokenizer"] != fingerprint:
        raise DataError(
            f"{tokens / INDEX}: made with a tokenizer of SHA-256 {index['tokenizer'][:12]}, but {tokenizer} has "
            f"{fingerprint[:12]}; tokenize again"
        )
    if checkpoint is not None and (theirs := tokenizer_fingerprint(checkpoint)) != fingerprint:
        raise CheckpointError(
            f"{checkpoint}: trained with a tokenizer of SHA-256 {theirs[:12]}, but {tokenizer} has {fingerprint[:12]}; "
            "begin from a checkpoint of this tokenizer"
        )
