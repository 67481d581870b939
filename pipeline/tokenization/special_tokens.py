"""Granite 4's special tokens: the last 96 ids of the vocabulary, in the published order.

With the published vocabulary of 100,352 they sit at 100256 to 100351; a smaller vocabulary keeps the same
block at its own end, so the position inside the block is what stays.
"""

BLOCK_SIZE = 96
"""Ids at the end of the vocabulary that no merge may take: 100352 - 100256."""

PAD = "<|pad|>"
END_OF_TEXT = "<|end_of_text|>"
UNKNOWN = "<|unk|>"
START_OF_ROLE = "<|start_of_role|>"
END_OF_ROLE = "<|end_of_role|>"

# Position in the block -> token. Ids are those of the Granite 4.1 tokenizer minus 100256; `<|filename|>` and
# `<|reponame|>` mark the files of a repository in Granite's fill-in-the-middle prompts.
_NAMED = {
    0: PAD,
    1: END_OF_TEXT,
    2: "<|fim_prefix|>",
    3: "<|fim_middle|>",
    4: "<|fim_suffix|>",
    5: "<|fim_pad|>",
    6: "<|filename|>",
    7: "<|reponame|>",
    8: START_OF_ROLE,
    9: END_OF_ROLE,
    13: UNKNOWN,
    14: "<tool_call>",
    15: "</tool_call>",
    16: "<tool_response>",
    17: "</tool_response>",
    18: "<think>",
    19: "</think>",
    20: "<think_on>",
    21: "<think_off>",
    22: "<schema>",
    23: "</schema>",
    24: "<tools>",
    25: "</tools>",
    26: "<documents>",
    27: "</documents>",
}


def _block() -> tuple[str, ...]:
    unused = (f"<|unused_{number}|>" for number in range(1, BLOCK_SIZE + 1))
    return tuple(_NAMED[position] if position in _NAMED else next(unused) for position in range(BLOCK_SIZE))


SPECIAL_TOKENS = _block()
"""All 96 tokens, in the order of their ids."""


def special_token_ids(vocabulary_size: int) -> dict[str, int]:
    """Token to id, for a vocabulary of that many ids."""
    first = vocabulary_size - BLOCK_SIZE
    return {token: first + position for position, token in enumerate(SPECIAL_TOKENS)}


def is_control(token: str) -> bool:
    """Whether a token only structures the conversation, so that decoding may drop it.

    The tags (`<tool_call>`, `<think>`, ...) carry meaning for the reader of an answer: decoding keeps them.
    """
    return token.startswith("<|")
