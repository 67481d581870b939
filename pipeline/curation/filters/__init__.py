"""A recipe's steps that look at one document: each keeps it, edits it, or says why not."""

from collections.abc import Callable
from importlib import import_module

from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.recipes import steps

_RULES: dict[type[steps.Step], str] = {
    steps.UrlFilter: "urls:url_filter",
    steps.RepairEncoding: "encoding:encoding_filter",
    steps.Language: "basic:language_filter",
    steps.Length: "basic:length_filter",
    steps.CodeRules: "code:code_filter",
    steps.GopherRepetition: "gopher_repetition:gopher_repetition_filter",
    steps.GopherQuality: "gopher_quality:gopher_quality_filter",
    steps.C4: "c4:c4_filter",
    steps.FineWebQuality: "fineweb:fineweb_filter",
    steps.MC4Paragraphs: "mc4:mc4_filter",
    steps.RefinedWebLines: "refinedweb:refinedweb_filter",
    steps.Decontaminate: "decontamination:decontamination_filter",
    steps.Pii: "pii:pii_filter",
    steps.Secrets: "credentials:secrets_filter",
    steps.Licenses: "licenses:license_filter",
    steps.Classifier: "classifier:classifier_filter",
    steps.Readability: "readability:readability_filter",
    steps.ExtremeTokenized: "extreme_tokenized:extreme_tokenized_filter",
    steps.GneissWeb: "gneissweb:gneissweb_filter",
}
"""Module of this package and function that makes the rule of a step: only what a recipe uses is imported."""


def filter_of(step: steps.Step) -> DocumentFilter:
    """The rule of a step that looks at one document."""
    module, _, name = _RULES[type(step)].partition(":")
    make: Callable[[steps.Step], DocumentFilter] = getattr(import_module(f"{__name__}.{module}"), name)
    return make(step)
