"""Steps that score documents with trained models, and GneissWeb's filter, which decides on such scores."""

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from pipeline.core.config import Share
from pipeline.curation.recipes.steps.base import Scope, Step


@dataclass(frozen=True, kw_only=True)
class ClassifierTraining:
    """How a quality classifier is trained: a linear model over hashed word n-grams."""

    training_documents: PositiveInt = 20_000
    """Most documents of each class to train on; it bounds the memory too."""
    held_out_share: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of these documents, chosen by a hash of their content, on which the model card's figures are measured."""
    document_characters: Annotated[int, Field(ge=1, le=100_000)] = 2_000
    """Characters of a document that are read. The limit bounds memory: batches of 64 documents are hashed at once, in
    some 50 bytes a character."""
    hash_bits: Annotated[int, Field(ge=1, le=30)] = 18
    """Words and n-grams are hashed to 2^hash_bits rows of the embedding table."""
    n_grams: PositiveInt = 2
    """Longest n-gram of words that is a feature (DCLM: 2)."""
    dimensions: PositiveInt = 16
    """Width of the embedding table while training."""
    epochs: PositiveInt = 5
    """Passes over the training documents (fastText: 5)."""
    learning_rate: PositiveFloat = 0.02
    seed: NonNegativeInt = 0


@dataclass(frozen=True, kw_only=True)
class QualityClassifier(Step, ClassifierTraining):
    """Keeps the share of documents that most resemble curated ones, by a classifier trained within the run."""

    scope: ClassVar[Scope] = "domain"
    step: Literal["quality_classifier"]
    positives: Annotated[tuple[str, ...], Field(min_length=1)]
    """Domains that are examples of high quality. The other class is the domain that is scored, as in DCLM."""
    keep_share: Annotated[float, Field(gt=0, le=1)] = 0.10
    """Share of documents to keep, best scores first (DCLM: the top tenth)."""


@dataclass(frozen=True, kw_only=True)
class ClassifierFile:
    """A trained classifier, and the label whose probability is the score."""

    name: Annotated[str, Field(min_length=1)]
    """Key of the score in the document's metadata: `scores.<name>`."""
    path: Annotated[str, Field(min_length=1)]
    """Folder of a classifier that this project trained, or a fastText file. A relative path is taken from the working
    directory."""
    label: Annotated[str, Field(min_length=1)]
    """Label whose probability is the score, whatever other labels the model has (DCLM's model: `hq`)."""
    minimum_score: Share | None = None
    """Least score of a document that is kept; null writes the score down and keeps all (DCLM: 0.018112, its top
    tenth)."""

    def __post_init__(self) -> None:
        if (suffix := PurePath(self.path).suffix) in (".pkl", ".pickle", ".pt", ".pth", ".joblib"):
            raise ValueError(f"path ends in {suffix}, set a folder with model.safetensors or a file *.bin or *.ftz")


@dataclass(frozen=True, kw_only=True)
class Classifier(Step):
    """Writes the scores of trained classifiers into the metadata, and rejects documents below a limit if one is set."""

    scope: ClassVar[Scope] = "document"
    implementation: ClassVar[str] = "classifier:classifier_filter"
    step: Literal["classifier"]
    models: Annotated[tuple[ClassifierFile, ...], Field(min_length=1)]
    """Classifiers, applied in this order; a document is not scored further once one rejects it."""

    def __post_init__(self) -> None:
        names = [model.name for model in self.models]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"models has {name} twice, give each its own name")


@dataclass(frozen=True, kw_only=True)
class Readability(Step):
    """Rejects texts that are hard to read, by McAlpine's EFLAW: words and short words per sentence."""

    scope: ClassVar[Scope] = "document"
    implementation: ClassVar[str] = "readability:readability_filter"
    step: Literal["readability"]
    below: float = 30
    """The score must be less than this (GneissWeb: 30 outside of its four categories, 70 within)."""


@dataclass(frozen=True, kw_only=True)
class ExtremeTokenized(Step):
    """Keeps texts whose tokens per character lie between two bounds: outside, text is repetitive or no prose."""

    scope: ClassVar[Scope] = "document"
    implementation: ClassVar[str] = "extreme_tokenized:extreme_tokenized_filter"
    step: Literal["extreme_tokenized"]
    tokenizer: str
    """A tokenizer.json (GneissWeb: that of bigcode/starcoder). A relative path is taken from the working directory."""
    at_least: NonNegativeFloat = 0.22
    """Least tokens per character (GneissWeb: 0.22 outside of its four categories, 0.10 within)."""
    at_most: float = 0.28
    """Most tokens per character (GneissWeb: 0.28 outside of its four categories, 0.50 within)."""

    def __post_init__(self) -> None:
        _check_tokenizer(self.tokenizer)
        if self.at_least > self.at_most:
            raise ValueError(f"at_least is {self.at_least}, set it from 0 to at_most ({self.at_most})")


@dataclass(frozen=True, kw_only=True)
class GneissWebLimits:
    """Limits on readability and on tokens per character, of which a document must meet one."""

    readability_below: float
    """EFLAW must be less than this."""
    tokens_at_least: NonNegativeFloat
    """Least tokens per character."""
    tokens_at_most: float
    """Most tokens per character."""

    def __post_init__(self) -> None:
        if self.tokens_at_least > self.tokens_at_most:
            raise ValueError(f"tokens_at_least is {self.tokens_at_least}, set 0 to {self.tokens_at_most}")


@dataclass(frozen=True, kw_only=True)
class GneissWeb(Step):
    """GneissWeb's filter (arXiv 2502.14907; numbers of data-prep-kit's recipe GneissWeb, step 3).

    A document is kept if one quality score is above its limit and either its readability or its tokens per character
    are within the limits, which are wider for documents of some categories. The scores come from a step `classifier`
    before this one.
    """

    scope: ClassVar[Scope] = "document"
    implementation: ClassVar[str] = "gneissweb:gneissweb_filter"
    step: Literal["gneissweb"]
    tokenizer: str
    """A tokenizer.json (GneissWeb: that of bigcode/starcoder). A relative path is taken from the working directory."""
    quality_above: Annotated[dict[str, float], Field(min_length=1)] = field(
        default_factory=lambda: {"dclm": 0.002, "cosmo": 0.03}
    )
    """Names of scores to their limits; one score above its limit is enough (GneissWeb: DCLM's classifier 0.002; its
    own, trained on Cosmopedia and on pages that a model graded highly, 0.03)."""
    categories: tuple[str, ...] = ("science", "education", "technology", "medical")
    """Names of the scores of categories. A document belongs to one if its score is above `category_above`."""
    category_above: float = 0.5
    """Limit of the categories' scores. Of two labels the more probable one has more than one half (GneissWeb takes the
    label with the highest probability)."""
    limits: GneissWebLimits = field(
        default_factory=lambda: GneissWebLimits(readability_below=30, tokens_at_least=0.22, tokens_at_most=0.28)
    )
    """Limits of documents that belong to no category."""
    category_limits: GneissWebLimits = field(
        default_factory=lambda: GneissWebLimits(readability_below=70, tokens_at_least=0.10, tokens_at_most=0.50)
    )
    """Limits of documents that belong to a category."""

    def __post_init__(self) -> None:
        _check_tokenizer(self.tokenizer)

    @property
    def scores(self) -> tuple[str, ...]:
        """The names of all scores that a document must have in its metadata."""
        return (*self.quality_above, *self.categories)


def _check_tokenizer(path: str) -> None:
    if PurePath(path).suffix != ".json":
        raise ValueError(f"tokenizer is {path}, set the path of a tokenizer.json")


def model_files(step: Step) -> tuple[str, ...]:
    """The paths of the classifiers and tokenizers that a step of this module reads; none for other steps."""
    match step:
        case Classifier():
            return tuple(model.path for model in step.models)
        case ExtremeTokenized() | GneissWeb():
            return (step.tokenizer,)
        case _:
            return ()
