"""Settings of the stage `sft_data`, which writes conversations for SFT and preference pairs for the reward model."""

from dataclasses import dataclass
from typing import Any

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from pipeline.core.config import Share
from pipeline.curation.recipes.steps.contamination import PromptDecontamination
from pipeline.environments.problem import ProblemConfig
from pipeline.posttraining.common.config import benchmark_fingerprint, check_domain_weights


@dataclass(frozen=True, kw_only=True)
class SftDataConfig:
    """How many conversations and preference pairs to write, of which domains, and the rules they must pass."""

    conversations: PositiveInt
    """Raw conversations before curation."""
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
    preference_pairs: PositiveInt
    """Preference pairs for training the reward model."""
    preference_validation_pairs: PositiveInt
    """Preference pairs on held-out prompts."""
    problems: ProblemConfig
    """Difficulty of the environments' problems, and the assistant's name in them."""
    decontamination: PromptDecontamination
    """Benchmarks whose items no question may copy."""

    def data_fingerprint(self) -> dict[str, Any]:
        """What the files of the benchmarks hold: a part of the stage's fingerprint.

        Raises:
            DataError: for a benchmark that is not there.
        """
        return benchmark_fingerprint(self.decontamination)

    def __post_init__(self) -> None:
        from pipeline.environments import ENVIRONMENT_NAMES

        check_domain_weights(self.domain_weights, (*ENVIRONMENT_NAMES, "documentation"))
