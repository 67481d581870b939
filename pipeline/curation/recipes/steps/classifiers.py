"""Steps that score documents with trained models, and the rules of GneissWeb that stand on such scores."""

from dataclasses import dataclass, field
from pathlib import PurePath
from typing import ClassVar, Literal

from pipeline.curation.recipes.steps.scope import Scope

MOST_CHARACTERS = 100_000
"""Of a document that are read: batches of 64 documents are hashed at once, in some 50 bytes a character."""


@dataclass(frozen=True, kw_only=True)
class ClassifierTraining:
    """How a classifier is trained."""

    training_documents: int = 20_000
    """Most documents of each class to train on; more are never held in memory."""
    held_out_share: float = 0.1
    """Share of these documents, chosen by a hash of their content, that the model card's figures are from."""
    document_characters: int = 2_000
    """Characters of a document that are read."""
    hash_bits: int = 18
    """2^bits rows of hashed words and runs of words."""
    n_grams: int = 2
    """Longest run of words (DCLM: 2)."""
    dimensions: int = 16
    """Numbers per row while training."""
    epochs: int = 5
    """Passes over the examples (fastText: 5)."""
    learning_rate: float = 0.02
    seed: int = 0

    def __post_init__(self) -> None:
        limits = {
            "training_documents": 1, "document_characters": 1, "n_grams": 1, "dimensions": 1, "epochs": 1, "seed": 0,
        }  # fmt: skip
        for name, least in limits.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, set {least} or more")
        if self.document_characters > MOST_CHARACTERS:
            raise ValueError(f"document_characters is {self.document_characters}, set at most {MOST_CHARACTERS}")
        if not 1 <= self.hash_bits <= 30:
            raise ValueError(f"hash_bits is {self.hash_bits}, set 1 to 30")
        if not 0 <= self.held_out_share < 1:
            raise ValueError(f"held_out_share is {self.held_out_share}, set 0 or more and below 1")
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate is {self.learning_rate}, set it above 0")


@dataclass(frozen=True, kw_only=True)
class QualityClassifier(ClassifierTraining):
    """Keeps the share of documents most like curated ones, by a classifier trained on the spot."""

    scope: ClassVar[Scope] = "domain"
    step: Literal["quality_classifier"]
    positives: tuple[str, ...]
    """Domains that are examples of high quality. The other class is the domain scored, as in DCLM."""
    keep_share: float = 0.10
    """Share kept (DCLM: the top tenth)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.positives:
            raise ValueError("positives is empty, name at least one domain")
        if not 0 < self.keep_share <= 1:
            raise ValueError(f"keep_share is {self.keep_share}, set it above 0 and at most 1")


@dataclass(frozen=True, kw_only=True)
class ClassifierFile:
    """A trained classifier, and the label whose probability is the score."""

    name: str
    """Key of the score in the document's metadata: `scores.<name>`."""
    path: str
    """Folder of a classifier that this project trained, or a fastText file. A relative path is taken from the working
    directory."""
    label: str
    """The label meant: the score is its probability, whatever other labels there are (DCLM's model: `hq`)."""
    minimum_score: float | None = None
    """Least score to stay; null only writes the score down (DCLM: 0.018112, its top tenth)."""

    def __post_init__(self) -> None:
        for name in ("name", "path", "label"):
            if not getattr(self, name).strip():
                raise ValueError(f"{name} is empty, set it")
        if (suffix := PurePath(self.path).suffix) in (".pkl", ".pickle", ".pt", ".pth", ".joblib"):
            raise ValueError(f"path ends in {suffix}, set a folder with model.safetensors or a file *.bin or *.ftz")
        if self.minimum_score is not None and not 0 <= self.minimum_score <= 1:
            raise ValueError(f"minimum_score is {self.minimum_score}, set 0 to 1")


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """Writes scores of trained classifiers into the metadata, and refuses documents below a limit if there is one."""

    scope: ClassVar[Scope] = "document"
    step: Literal["classifier"]
    models: tuple[ClassifierFile, ...]
    """Asked in this order."""

    def __post_init__(self) -> None:
        names = [model.name for model in self.models]
        if not names:
            raise ValueError("models is empty, name at least one classifier")
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"models has {name} twice, give each its own name")


@dataclass(frozen=True, kw_only=True)
class Readability:
    """McAlpine's readability for readers of English as a foreign language: short sentences, few short words."""

    scope: ClassVar[Scope] = "document"
    step: Literal["readability"]
    below: float = 30
    """The score must be less (GneissWeb: 30 outside of its four categories, 70 within)."""


@dataclass(frozen=True, kw_only=True)
class ExtremeTokenized:
    """Tokens per character between two bounds: far from them text is repetitive, or no prose at all."""

    scope: ClassVar[Scope] = "document"
    step: Literal["extreme_tokenized"]
    tokenizer: str
    """A tokenizer.json (GneissWeb: that of bigcode/starcoder). A relative path is taken from the working directory."""
    at_least: float = 0.22
    """GneissWeb: 0.22 outside of its four categories, 0.10 within."""
    at_most: float = 0.28
    """GneissWeb: 0.28 outside of its four categories, 0.50 within."""

    def __post_init__(self) -> None:
        _check_tokenizer(self.tokenizer)
        if not 0 <= self.at_least <= self.at_most:
            raise ValueError(f"at_least is {self.at_least}, set it from 0 to at_most ({self.at_most})")


@dataclass(frozen=True, kw_only=True)
class GneissWebLimits:
    """What readability and tokens per character may be."""

    readability_below: float
    tokens_at_least: float
    tokens_at_most: float

    def __post_init__(self) -> None:
        if not 0 <= self.tokens_at_least <= self.tokens_at_most:
            raise ValueError(f"tokens_at_least is {self.tokens_at_least}, set 0 to {self.tokens_at_most}")


@dataclass(frozen=True, kw_only=True)
class GneissWeb:
    """GneissWeb's filter (arXiv 2502.14907; numbers of data-prep-kit's recipe GneissWeb, step 3).

    A document stays if one quality score is above its limit and either its readability or its tokens per character is
    within the limits, which are wider for documents of some categories. Scores are those of a step `classifier` before.
    """

    scope: ClassVar[Scope] = "document"
    step: Literal["gneissweb"]
    tokenizer: str
    """A tokenizer.json (GneissWeb: that of bigcode/starcoder). A relative path is taken from the working directory."""
    quality_above: dict[str, float] = field(default_factory=lambda: {"dclm": 0.002, "cosmo": 0.03})
    """Name of a score to its limit; above one of them is enough (GneissWeb: DCLM's classifier 0.002, its own, trained
    on Cosmopedia and pages that a model graded highly, 0.03)."""
    categories: tuple[str, ...] = ("science", "education", "technology", "medical")
    """Names of the scores of categories; a document is of one if that score is above the limit below."""
    category_above: float = 0.5
    """Of two labels the more probable is the one above one half (GneissWeb: the label of the category is on top)."""
    limits: GneissWebLimits = field(
        default_factory=lambda: GneissWebLimits(readability_below=30, tokens_at_least=0.22, tokens_at_most=0.28)
    )
    """Of documents of no category; tokens per character may equal the bounds, readability must be below."""
    category_limits: GneissWebLimits = field(
        default_factory=lambda: GneissWebLimits(readability_below=70, tokens_at_least=0.10, tokens_at_most=0.50)
    )
    """Of documents of a category."""

    def __post_init__(self) -> None:
        _check_tokenizer(self.tokenizer)
        if not self.quality_above:
            raise ValueError("quality_above is empty, name at least one score and its limit")

    @property
    def scores(self) -> tuple[str, ...]:
        """Names of all scores that documents must bring along."""
        return (*self.quality_above, *self.categories)


def _check_tokenizer(path: str) -> None:
    if PurePath(path).suffix != ".json":
        raise ValueError(f"tokenizer is {path}, set the path of a tokenizer.json")


def model_files(step: object) -> tuple[str, ...]:
    """Paths of the classifiers and tokenizers that a step reads."""
    match step:
        case Classifier():
            return tuple(model.path for model in step.models)
        case ExtremeTokenized() | GneissWeb():
            return (step.tokenizer,)
        case _:
            return ()
