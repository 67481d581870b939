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
FIM_PREFIX = "<|fim_prefix|>"
FIM_MIDDLE = "<|fim_middle|>"
FIM_SUFFIX = "<|fim_suffix|>"

# Position in the block → token. Ids are those of the Granite 4.1 tokenizer minus 100256; `<|filename|>` and
# `<|reponame|>` mark the files of a repository in Granite's fill-in-the-middle prompts.
_BY_POSITION = {
    0: PAD,
    1: END_OF_TEXT,
    2: FIM_PREFIX,
    3: FIM_MIDDLE,
    4: FIM_SUFFIX,
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
    """The tokens of the block in order, positions without a meaning numbered as unused ones."""
    unused = (f"<|unused_{number}|>" for number in range(1, BLOCK_SIZE + 1))
    return tuple(_BY_POSITION[position] if position in _BY_POSITION else next(unused) for position in range(BLOCK_SIZE))


SPECIAL_TOKENS = _block()
"""All 96 tokens, in the order of their ids."""


def special_token_ids(vocab_size: int) -> dict[str, int]:
    """The id of each special token in a vocabulary of so many ids, themselves included."""
    first = vocab_size - BLOCK_SIZE
    return {token: first + position for position, token in enumerate(SPECIAL_TOKENS)}


def is_control(token: str) -> bool:
    """Whether a token only structures the conversation, so that decoding may drop it.

    The tags (`<tool_call>`, `<think>`, ...) carry meaning for the reader of an answer: decoding keeps them.
    """
    return token.startswith("<|")
