"""Training data without conversations whose contents spell out special tokens, which TRL would encode as such.

The rules of `sft_data` remove those with Granite's tokens. A model that came from elsewhere has others, which are known
where its tokenizer is.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pipeline.core.errors import DataError
from pipeline.inference.conversation_ids import forged_token


def without_forged_tokens(
    rows: Iterable[dict[str, Any]],
    tokenizer: Any,
    messages_of: Callable[[dict[str, Any]], Sequence[dict[str, Any]]],
    what: str,
) -> list[dict[str, Any]]:
    """The rows whose messages spell out no special token; how many are left out is printed to the log.

    Args:
        rows: of a data set.
        tokenizer: of the model that trains on it.
        messages_of: gives all messages of a row.
        what: name of the data set, for the log.

    Raises:
        DataError: if no row is left.
    """
    rows = list(rows)
    kept = [row for row in rows if forged_token(tokenizer, messages_of(row)) is None]
    if len(kept) < len(rows):
        print(f"{len(rows) - len(kept)} of {len(rows)} in {what} spell out a special token of the model: left out")
    if rows and not kept:
        raise DataError(f"{what}: every conversation spells out a special token of the model, write them otherwise")
    return kept
