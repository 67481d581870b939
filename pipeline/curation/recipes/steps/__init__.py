"""What a recipe can do to documents: one dataclass per step, its fields the thresholds.

Steps run in the order of the recipe.
"""

from typing import get_args, get_type_hints

from pipeline.curation.recipes.steps.classifiers import (
    Classifier,
    ExtremeTokenized,
    GneissWeb,
    QualityClassifier,
    Readability,
)
from pipeline.curation.recipes.steps.contamination import Decontaminate
from pipeline.curation.recipes.steps.duplicates import ExactDedup, MinHash, SubstringDedup
from pipeline.curation.recipes.steps.licenses import Licenses
from pipeline.curation.recipes.steps.packing import PackRepositories
from pipeline.curation.recipes.steps.pages import EXTRACTORS, Resiliparse, Trafilatura, UrlFilter
from pipeline.curation.recipes.steps.privacy import Pii, Secrets
from pipeline.curation.recipes.steps.scope import Scope
from pipeline.curation.recipes.steps.text import (
    C4,
    CodeRules,
    FineWebQuality,
    GopherQuality,
    GopherRepetition,
    Language,
    Length,
    MC4Paragraphs,
    RefinedWebLines,
    RepairEncoding,
)

__all__ = [
    "C4",
    "EXTRACTORS",
    "STEPS",
    "Classifier",
    "CodeRules",
    "Decontaminate",
    "ExactDedup",
    "ExtremeTokenized",
    "FineWebQuality",
    "GneissWeb",
    "GopherQuality",
    "GopherRepetition",
    "Language",
    "Length",
    "Licenses",
    "MC4Paragraphs",
    "MinHash",
    "PackRepositories",
    "Pii",
    "QualityClassifier",
    "Readability",
    "RefinedWebLines",
    "RepairEncoding",
    "Resiliparse",
    "Scope",
    "Secrets",
    "Step",
    "SubstringDedup",
    "Trafilatura",
    "UrlFilter",
]

Step = (
    UrlFilter | Trafilatura | Resiliparse
    | RepairEncoding | Language | Length | CodeRules | GopherRepetition | GopherQuality | C4 | FineWebQuality
    | MC4Paragraphs | RefinedWebLines | Decontaminate | Pii | Secrets | Licenses
    | Classifier | Readability | ExtremeTokenized | GneissWeb
    | ExactDedup | MinHash | SubstringDedup | PackRepositories | QualityClassifier
)  # fmt: skip

STEPS: dict[str, type[Step]] = {get_args(get_type_hints(each)["step"])[0]: each for each in get_args(Step)}
"""By the name that recipes use."""
