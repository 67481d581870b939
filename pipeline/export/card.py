"""The card of an export: what it is, how large, how far its loss is from that of the folder it was made from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.export.held_out import HeldOutLoss

KEPT = ("license", "license_name", "license_link", "language", "datasets")
"""Keys of the front matter that hold for every format of a model."""


@dataclass(frozen=True)
class Weights:
    """One row of the comparison."""

    name: str
    precision: str
    size: int
    """Bytes of the weights on the disk."""
    loss: HeldOutLoss | None
    """None where it was not measured."""


@dataclass(frozen=True)
class Texts:
    """What the loss was measured on, or why it was not."""

    what: str
    """A phrase such as `the first 512 held-out tokens of each of 13 domains`."""
    unmeasured: str = ""
    """Why there is no loss of the export, with what would change that; empty if there is one."""


def export_card(
    title: str, description: str, usage: str, library: str, original: Weights, exported: Weights, texts: Texts,
    versions: dict[str, str], front_matter: dict[str, Any],
) -> str:  # fmt: skip
    """The card as Markdown, with the front matter that the Hugging Face Hub reads.

    Args:
        title: of the card.
        description: what the format is, in a sentence.
        usage: a code block that runs it.
        library: as the hub calls what loads it.
        original: the folder that was converted.
        exported: what came out.
        texts: what both were measured on.
        versions: of the packages that converted and measured it.
        front_matter: that of the original's card, of which some keys are kept.
    """
    matter = {key: front_matter[key] for key in KEPT if key in front_matter}
    matter |= {"library_name": library, "pipeline_tag": "text-generation"}
    rows = [f"| {each.name} | {each.precision} | {each.size:,} | {_nats(each.loss)} |" for each in (original, exported)]
    sections = [
        f"---\n{yaml.safe_dump(matter, sort_keys=False).strip()}\n---",
        f"# {title}",
        description,
        usage,
        "## What the format costs",
        "\n".join(("| | weights | bytes | loss |", "| --- | --- | --- | --- |", *rows)),
        f"{comparison(original, exported, texts)} Losses are in nats per token.",
        "## Origin",
        "What the model is, what it was made from and where it fails: [MODEL_CARD.md](MODEL_CARD.md)."
        if front_matter
        else "The folder that this was made from has no model card.",
        f"Made with {', '.join(f'{name} {version}' for name, version in sorted(versions.items()))}.",
    ]
    return "\n\n".join(sections) + "\n"


def comparison(original: Weights, exported: Weights, texts: Texts) -> str:
    """Size and loss in one or two sentences."""
    size = f"The weights take {exported.size / original.size:.3f} of the original's bytes."
    if original.loss is None or exported.loss is None:
        return f"{size} The loss is unmeasured: {texts.unmeasured}."
    # Adding zero takes the sign off a difference that is rounded to nothing.
    difference = round(exported.loss.mean - original.loss.mean, 5) + 0.0
    return f"{size} The loss differs by {difference:+.5f} on {exported.loss.tokens:,} tokens, {texts.what}."


def front_matter_of(card: Path) -> dict[str, Any]:
    """The YAML at the head of a model card; empty if there is no card, or none in it."""
    if not card.is_file():
        return {}
    head, separator, rest = card.read_text(encoding="utf-8").partition("---\n")
    if head.strip() or not separator:
        return {}
    try:
        matter = yaml.safe_load(rest.partition("\n---")[0])
    except yaml.YAMLError:
        return {}
    return matter if isinstance(matter, dict) else {}


def _nats(loss: HeldOutLoss | None) -> str:
    return "unmeasured" if loss is None else f"{loss.mean:.5f}"
