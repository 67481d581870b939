"""pipeline/posttraining/data/config.py"""

from dataclasses import dataclass, field
from typing import Any

from pipeline.curation.recipes.steps.contamination import PromptDecontamination
from pipeline.environments.problem import ProblemConfig
from pipeline.posttraining.common.config import _positive, _share, benchmark_content, check_weights


@dataclass(frozen=True, kw_only=True)
class SftDataConfig:
    """Conversations for SFT and preference pairs for the reward model, and the rules they pass."""

    conversations: int = 4_100_000
    """Raw conversations before curation."""
    domain_weights: dict[str, float] = field(default_factory=dict)
    """Relative share of each source: an environment, or `documentation` for questions about docstrings."""
    faulty_share: float = 0.1
    """Share of raw conversations with a fault of the kinds raw data has, for the rules to find."""
    multi_turn_share: float = 0.1
    """Share of conversations with two questions."""
    terse_share: float = 0.5
    """Share of chat replies that are short and plain, as in raw chat; the reward model prefers others."""
    abstaining_share: float = 0.0
    """Share of questions with one right answer to which the raw reply is that it is not known: SFT data of
    many hands abstains where it need not, and verified rewards teach the model when to answer."""
    validation_share: float = 0.05
    """Share of the kept conversations held back for the validation loss."""
    min_reply_characters: int = 1
    """Shorter assistant turns are removed."""
    max_conversation_characters: int = 65_536
    """Longer conversations are removed: 16,384 tokens at four characters each."""
    preference_pairs: int = 100_000
    """Preference pairs for training the reward model."""
    preference_validation_pairs: int = 2_000
    """Preference pairs on held-out prompts."""
    problems: ProblemConfig = field(default_factory=lambda: ProblemConfig(difficulty=3))
    """Which problems the environments pose."""
    decontamination: PromptDecontamination = field(default_factory=PromptDecontamination)
    """Benchmarks whose items no question may copy."""

    def data_fingerprint(self) -> dict[str, Any]:
        """What the benchmarks' files hold: a part of the stage's fingerprint.

        Raises:
            DataError: for a benchmark that is not there.
        """
        return benchmark_content(self.decontamination)

    def __post_init__(self) -> None:
        from pipeline.environments import ENVIRONMENT_NAMES

        _positive(self, "conversations", "preference_pairs", "preference_validation_pairs")
        _share(self, "faulty_share", "multi_turn_share", "terse_share", "abstaining_share", "validation_share")
        check_weights(self.domain_weights, (*ENVIRONMENT_NAMES, "documentation"))
