"""Prints the table of steps in docs/curation.md: `python -m pipeline.curation.recipes.steps.table`."""

import dataclasses
from typing import Any

from pipeline.curation.recipes.steps import STEPS
from pipeline.curation.recipes.steps.base import SCOPES


def step_table() -> str:
    """A Markdown table of all steps, by scope and name: what each does, and its settings with their defaults."""
    lines = ["| step | looks at | what it does | settings |", "|---|---|---|---|"]
    for name, step in sorted(STEPS.items(), key=lambda item: (SCOPES.index(item[1].scope), item[0])):
        what = " ".join((step.__doc__ or "").split("\n\n")[0].split())
        lines.append(f"| `{name}` | {step.scope} | {what} | {_settings(step)} |")
    return "\n".join(lines)


def _settings(step: Any) -> str:
    fields = [each for each in dataclasses.fields(step) if each.name != "step"]
    return ", ".join(f"`{each.name}{_default(each)}`" for each in fields) or "none"


def _default(each: Any) -> str:
    if each.default is not dataclasses.MISSING:
        value = each.default
    elif each.default_factory is not dataclasses.MISSING:
        value = each.default_factory()
    else:
        return ""
    if dataclasses.is_dataclass(value) or (isinstance(value, tuple | dict) and len(str(value)) > 40):
        return "=…"
    if isinstance(value, tuple):
        return f"=[{', '.join(map(str, value))}]"
    return f"={'null' if value is None else str(value).lower() if isinstance(value, bool) else value}"


if __name__ == "__main__":
    print(step_table())
