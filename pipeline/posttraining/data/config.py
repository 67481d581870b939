"""Settings of the stage `sft_data`, which writes conversations for SFT and preference pairs for the reward model."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from pipeline.core.config import Share
from pipeline.curation.recipes.steps.contamination import PromptDecontamination
from pipeline.environments.problem import ProblemConfig
from pipeline.posttraining.common.config import benchmark_fingerprint, check_domain_weights, environment_fingerprint
from pipeline.posttraining.common.data_files import DataFiles, describe_files


@dataclass(frozen=True, kw_only=True)
class SftDataConfig:
    """How many conversations and preference pairs to write, of which domains, and the rules they must pass."""

    conversations: NonNegativeInt
    """Raw conversations of the built-in sources before curation; 0 takes those of `files` alone."""
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

    def data_fingerprint(self) -> dict[str, Any]:
        """What the files of the benchmarks and one's own files hold: a part of the stage's fingerprint.

        Raises:
            DataError: for a file that is not there.
        """
        return {
            **benchmark_fingerprint(self.decontamination),
            **environment_fingerprint(self.domain_weights),
            **describe_files(self.files, "files"),
            **describe_files(self.preference_files, "preference_files"),
        }

    def check_data(self) -> list[str]:
        """Reads one's own files, if there are any, and returns what to say of rows that are set aside.

        Raises:
            DataError: for a row that cannot be used, or too few different rows to train on and to measure with.
        """
        if self.files or self.preference_files:
            from pipeline.posttraining.data.own_files import check_files

            return check_files(self)
        return []

    def __post_init__(self) -> None:
        check_domain_weights(self.domain_weights, ("documentation",))
        if not self.conversations and not self.files:
            raise ValueError("conversations is 0 and files is empty, set one")
