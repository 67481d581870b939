"""What `fivephase doctor template` prints: a conversation as a chat template renders it, and what is trained on."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.core.terminal import one_line
from pipeline.inference.chat_template import EXAMPLE, Segment, check_assistant_mask, segments
from pipeline.model_import.source import template_file
from pipeline.model_import.templates import set_template
from pipeline.model_import.tokens import load_tokenizer

GREEN, PLAIN = "\x1b[32m", "\x1b[0m"


def report(folder: Path, chat_template: str | None, colored: bool) -> Iterator[str]:
    """The lines for a tokenizer's template as an import would leave it; what that replaces comes first.

    Args:
        folder: with a tokenizer.
        chat_template: name or file of a template to try in the place of the tokenizer's own.
        colored: show what is trained on in green; otherwise in double brackets.

    Raises:
        CheckpointError: for a tokenizer that does not load; after the lines, for a template that fine-tuning refuses.
        ConfigError: for a template that is not there.
    """
    tokenizer = load_tokenizer(folder)
    if chat_template is not None:
        tokenizer.chat_template = template_file(chat_template).read_text(encoding="utf-8")
    elif tokenizer.chat_template:
        yield from set_template(tokenizer, None, str(folder))
    found = segments(tokenizer, EXAMPLE, str(folder))
    yield from shown(found, colored).splitlines()
    trained, all_tokens = (
        sum(len(each.tokens) for each in found if each.trained or not only_trained) for only_trained in (True, False)
    )
    yield from ("", f"{trained} of {all_tokens} tokens are trained on: {'green' if colored else 'between [[ and ]]'}")
    check_assistant_mask(tokenizer, str(folder))


def shown(found: Sequence[Segment], colored: bool) -> str:
    """Segments as text, line ends as they are and all else that does not print as Python's escapes."""
    begin, end = (GREEN, PLAIN) if colored else ("[[", "]]")
    parts = []
    for each in found:
        text = "\n".join(one_line(line, 10 * len(line)) for line in each.text.split("\n"))
        parts.append(f"{begin}{text}{end}" if each.trained else text)
    return "".join(parts)
