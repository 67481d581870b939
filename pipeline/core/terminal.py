"""Text from data and models on a terminal, which must not obey it."""


def one_line(text: str, width: int = 160) -> str:
    """A text on one line of at most `width` characters and an ellipsis; escaped where it has what does not print."""
    escaped = text if text.isprintable() else text.encode("unicode_escape").decode()
    return escaped if len(escaped) <= width else f"{escaped[:width]}…"
