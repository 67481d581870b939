"""Settings of the stage `sft_data`, which writes conversations for SFT and preference pairs for the reward model."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from pipeline.core.config import Share
from pipeline.curation.config import ExecutorConfig
from pipeline.curation.recipes.steps.contamination import PromptDecontamination
from pipeline.environments.problem import ProblemConfig
from pipeline.posttraining.common.config import benchmark_fingerprint, check_domain_weights, environment_fingerprint
from pipeline.posttraining.common.data_files import DataFiles, describe_files
from pipeline.posttraining.common.row_recipes import Rows, describe_recipes, load_row_recipes, missing_datasets
from pipeline.posttraining.data.judge.config import JudgeConfig

DOCUMENTATION = "documentation"
"""Source of questions about docstrings, which no verifier checks."""


@dataclass(frozen=True, kw_only=True)
class NearDuplicates:
    """When a conversation is a near duplicate of another: MinHash finds candidates, Jaccard decides, as in curation."""

    n_grams: PositiveInt
    """Words in a shingle."""
    buckets: PositiveInt
    """Bands of the signature. Conversations that agree in all hashes of one band are candidates."""
    hashes_per_bucket: PositiveInt
    """Hashes in a band."""
    minimum_jaccard: Share
    """Jaccard similarity of the shingles from which a candidate is a duplicate."""


@dataclass(frozen=True, kw_only=True)
class SftDataConfig:
    """How many conversations and preference pairs to write, of which sources, and the rules they must pass."""

    recipes: str | None = field(metadata={"fingerprint": False})
    """Folder of recipes with the sources; a relative path is looked for in the working directory, then among the
    built-in ones. Null takes the built-in generators and `files` alone."""
    samples: PositiveInt | None
    """Conversations that the recipes' shares are shares of; null keeps all that pass."""
    near_duplicates: NearDuplicates | None
    """When two conversations of recipes and files are the same but for some words; null keeps such."""
    maximum_bad_share: Share = field(metadata={"fingerprint": False})
    """Share of a recipe's source that may be no records; with more, something is wrong and the stage fails."""
    workers: PositiveInt | None = field(metadata={"fingerprint": False})
    """Tasks at the same time; null is one per core, with Slurm and Ray as many as they give."""
    executor: ExecutorConfig = field(metadata={"fingerprint": False})
    """Which machines do the tasks."""
    conversations: NonNegativeInt
    """Raw conversations of the built-in generators before curation; 0 goes without them."""
    files: DataFiles = field(metadata={"fingerprint": False})
    """Files of conversations, in the shapes of `pipeline.posttraining.data.shapes`, all of whose rows are taken."""
    domain_weights: dict[str, NonNegativeFloat]
    """Relative share of each source: an environment, or `documentation` for questions about docstrings."""
    faulty_share: Share
    """Share of raw conversations with a fault of the kinds raw data has, for the rules to find."""
    multi_turn_share: Share
    """Share of conversations with two questions."""
    terse_share: Share
    """Share of chat replies that are short and plain, as in raw chat; the reward model prefers others."""
    abstaining_share: Share
    """Share of questions with one right answer to which the raw reply is that it is not known: raw data of many
    hands abstains where it need not, and verified rewards teach the model when to answer."""
    validation_share: Share
    """Share of the kept conversations held back for the validation loss."""
    min_reply_characters: NonNegativeInt
    """Characters that an assistant's turn must have; a conversation with a shorter one is removed."""
    max_conversation_characters: PositiveInt
    """Characters that a conversation may have; longer ones are removed."""
    max_repetitions: PositiveInt
    """Times in a row that a reply may say a phrase of up to 16 words, or as many lines; with more it is removed."""
    preference_pairs: NonNegativeInt
    """Built-in preference pairs for training the reward model; 0 takes those of `preference_files` alone."""
    preference_validation_pairs: NonNegativeInt
    """Built-in preference pairs on held-out prompts; 0 takes those of `preference_files` alone."""
    preference_files: DataFiles = field(metadata={"fingerprint": False})
    """Files of preferences (`prompt`, `chosen`, `rejected`), all of whose rows are taken."""
    problems: ProblemConfig
    """Difficulty of the environments' problems, and the assistant's name in them."""
    decontamination: PromptDecontamination
    """Benchmarks whose items no question may copy."""
    verifier_calibration: str | None = field(metadata={"fingerprint": False})
    """Report of `fivephase calibrate verifiers`; verifiers that it finds wanting, or that changed since, remove
    nothing. Null lets all of them decide on the built-in conversations."""
    judge: JudgeConfig | None
    """A language model that judges what passed the rules; null leaves it at the rules."""

    def data_fingerprint(self) -> dict[str, Any]:
        """What recipes say, and what the files of the benchmarks and one's own hold: a part of the fingerprint.

        Raises:
            DataError: for a file that is not there.
            RecipeError: for a recipe that cannot be used.
        """
        return {
            **benchmark_fingerprint(self.decontamination),
            **environment_fingerprint(self.domain_weights),
            **({"recipes": found} if (found := describe_recipes(self.recipes, "conversations")) else {}),
            **({"preference_recipes": found} if (found := describe_recipes(self.recipes, "preferences")) else {}),
            **({"verifiers_that_do_not_gate": sorted(self.closed_verifiers())} if self.verifier_calibration else {}),
            **({"judge": self.judge.data_fingerprint()} if self.judge else {}),
            **describe_files(self.files, "files"),
            **describe_files(self.preference_files, "preference_files"),
        }

    def closed_verifiers(self) -> dict[str, str]:
        """The environments whose verifiers may not remove a conversation, with the reason.

        Raises:
            DataError: for a calibration that is not there or is none.
        """
        from pipeline.posttraining.common.verifier_gate import closed_gates

        return closed_gates(self.verifier_calibration, (name for name in self.domain_weights if name != DOCUMENTATION))

    def check_data(self) -> list[str]:
        """Makes sure that there are sources of conversations, and reads one's own files, if there are any.

        Returns what to say of rows that are set aside.

        Raises:
            DataError: for a row that cannot be used, or too few different rows to train on and to measure with.
        """
        from pipeline.posttraining.data.all_sources import conversation_sources

        sources = conversation_sources(self)
        if self.files or self.preference_files:
            # It loads transformers, which takes seconds.
            from pipeline.posttraining.data.own_files import check_files

            return check_files(self, alone=all(source in self.files for source in sources))
        return []

    def datasets_to_fetch(self) -> list[str]:
        """The data sets of the hub that the recipes name and the local cache has nothing of.

        Raises:
            RecipeError: for a recipe that cannot be used.
        """
        rows: tuple[Rows, ...] = ("conversations", "preferences")
        recipes = [recipe for each in rows for recipe in load_row_recipes(self.recipes, each)]
        return missing_datasets(source for _, sources in recipes for source in sources)

    def __post_init__(self) -> None:
        check_domain_weights(self.domain_weights, (DOCUMENTATION,))
        if not self.conversations and not self.files and self.recipes is None:
            raise ValueError("conversations is 0, files is empty and recipes is null, set one")
