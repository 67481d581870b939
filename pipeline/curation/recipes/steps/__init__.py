"""The steps that a recipe can name: one dataclass each, whose fields are the settings and carry published defaults.

`STEPS` maps a name in recipes to its dataclass. Importing a module of this package registers the steps it defines, so
a new step is a dataclass here and the function that its `implementation` names. Nothing here imports a model or a
filter. `python -m pipeline.curation.recipes.steps.table` prints all steps for docs/curation.md.
"""

from pipeline.curation.recipes.steps import (  # noqa: F401 - imported for the steps they register
    classifiers,
    contamination,
    duplicates,
    licenses,
    packing,
    pages,
    privacy,
    text,
)
from pipeline.curation.recipes.steps.base import STEPS, Scope, Step

__all__ = ["STEPS", "Scope", "Step"]
