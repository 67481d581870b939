"""Filters carry out the steps that look at one document: each keeps it, edits it, or rejects it with a reason.

Every step of scope `page` or `document` names its function here in `Step.implementation`. `filter_of` makes the
document filter of a step, `filter_step.FilterStep` runs it over a stream of documents and writes down what happened to
each; `extraction` does the same for the extractors, which turn pages into text.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.recipes.steps import Step


def load_implementation(step: type[Step]) -> Callable[[Any], Any]:
    """Imports the function that a class of steps names in `implementation`: only what a recipe uses is ever imported.

    Raises:
        LookupError: if the step names no function of a module of this package. This is a mistake in the step's class;
            no recipe can cause it.
    """
    module_name, _, function_name = step.implementation.partition(":")
    if module_name and find_spec(f"{__name__}.{module_name}") is not None:
        module = import_module(f"{__name__}.{module_name}")
        if hasattr(module, function_name):
            return getattr(module, function_name)
    raise LookupError(
        f"{step.__name__}.implementation={step.implementation!r}: no such function, set it to `module:function` "
        f"below {__name__}"
    )


def filter_of(step: Step) -> DocumentFilter:
    """The document filter of a step of scope `page` or `document` that is no extractor.

    Raises:
        LookupError: if the step names no implementation.
        UserError: for a file that the step names and that cannot be used, such as a benchmark or a model.
    """
    document_filter: DocumentFilter = load_implementation(type(step))(step)
    return document_filter
