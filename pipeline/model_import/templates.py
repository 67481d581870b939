"""The chat template of an imported model: its own, the same with marks for training, or the one that is asked for."""

import contextlib
from typing import Any

from pipeline.core.errors import CheckpointError
from pipeline.inference.chat_template import EXAMPLE, check_assistant_mask
from pipeline.model_import.source import BUILT_IN_TEMPLATES, template_file
from pipeline.tokenization.special_tokens import END_OF_ROLE, START_OF_ROLE


def set_template(tokenizer: Any, wanted: str | None, where: str) -> list[str]:
    """Gives a tokenizer, in place, the chat template that stages render conversations with.

    Its own is replaced where it marks nothing to train on and a marked one is known that renders the same turns: TRL
    has those of many models, and this package that of Granite 4. One that is asked for is held to training on the
    assistant's turns and their ends. The model's own is kept as it is: only fine-tuning needs that, and checks it.

    Args:
        tokenizer: a fast one, with an end-of-sequence token.
        wanted: name or path of a template; None is the model's own.
        where: the tokenizer's folder, to name in errors.

    Returns:
        What was changed or is missing, a line each.

    Raises:
        CheckpointError: for a template that is asked for and does not train on the assistant's turns.
    """
    if wanted is not None:
        tokenizer.chat_template = template_file(wanted).read_text(encoding="utf-8")
        check_assistant_mask(tokenizer, f"{where} with chat_template={wanted}")
        return [f"the chat template is {wanted}, as set"]
    if not tokenizer.chat_template:
        return ["there is no chat template: whatever reads conversations will refuse it until chat_template is set"]
    own = tokenizer.chat_template = tokenizer.get_chat_template()
    try:
        check_assistant_mask(tokenizer, where)
        return []
    except CheckpointError as error:
        reason = str(error)
    for name, template in _marked(tokenizer).items():
        tokenizer.chat_template = template
        try:
            check_assistant_mask(tokenizer, where)
        except CheckpointError as error:
            reason = str(error)
        else:
            return [f"the chat template marks nothing to train on: {name} takes its place"]
    tokenizer.chat_template = own
    return [f"fine-tuning will refuse the chat template: {reason}"]


def _marked(tokenizer: Any) -> dict[str, str]:
    """Templates that may stand for a tokenizer's own, with marks, by a name for the log."""
    from trl.chat_template_utils import get_training_chat_template

    found = {}
    # TRL knows templates by their text, and raises for others.
    with contextlib.suppress(ValueError):
        found["TRL's version of it"] = get_training_chat_template(tokenizer) or tokenizer.chat_template
    if {START_OF_ROLE, END_OF_ROLE} <= tokenizer.get_vocab().keys():
        granite = BUILT_IN_TEMPLATES["granite"].read_text(encoding="utf-8")
        # With a system text, where Granite's own would write a default.
        messages = [{"role": "system", "content": "Answer briefly."}, *EXAMPLE]
        rendered = (
            tokenizer.apply_chat_template(messages, chat_template=each, tokenize=False)
            for each in (granite, tokenizer.chat_template)
        )
        if len(set(rendered)) == 1:
            found["Granite 4's with marks"] = granite
    return found
