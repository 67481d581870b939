"""A recipe's steps that look at one document: each keeps it, edits it, or says why not."""

from collections.abc import Callable
from importlib import import_module

from pipeline.curation.filters.rule import Rule
from pipeline.curation.recipes import steps

_RULES: dict[type[steps.Step], str] = {
    steps.UrlFilter: "urls:url_rule",
    steps.RepairEncoding: "encoding:encoding_rule",
    steps.Language: "basic:language_rule",
    steps.Length: "basic:length_rule",
    steps.CodeRules: "code:code_rule",
    steps.GopherRepetition: "gopher_repetition:gopher_repetition_rule",
    steps.GopherQuality: "gopher_quality:gopher_quality_rule",
    steps.C4: "c4:c4_rule",
    steps.FineWebQuality: "fineweb:fineweb_rule",
    steps.MC4Paragraphs: "mc4:mc4_rule",
    steps.RefinedWebLines: "refinedweb:refinedweb_rule",
    steps.Decontaminate: "decontamination:decontamination_rule",
    steps.Pii: "pii:pii_rule",
    steps.Secrets: "credentials:secrets_rule",
    steps.Licences: "licences:licence_rule",
    steps.Classifier: "classifier:classifier_rule",
    steps.Readability: "readability:readability_rule",
    steps.ExtremeTokenized: "extreme_tokenized:extreme_tokenized_rule",
    steps.GneissWeb: "gneissweb:gneissweb_rule",
}
"""Module of this package and function that makes the rule of a step: only what a recipe uses is imported."""


def rule_of(step: steps.Step) -> Rule:
    """The rule of a step that looks at one document."""
    module, _, name = _RULES[type(step)].partition(":")
    make: Callable[[steps.Step], Rule] = getattr(import_module(f"{__name__}.{module}"), name)
    return make(step)
