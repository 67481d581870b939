"""Settings of the judge: the model that is asked, the rubric, and what its scores lead to."""

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from pipeline.core.config import Share
from pipeline.language_model.config import EndpointConfig

DIMENSIONS = (
    "instruction_following", "correctness", "completeness", "conciseness", "naturalness", "calibration",
)  # fmt: skip
"""What is scored, each from LOWEST to HIGHEST (the six of Granite 4.1)."""
FLAGS = ("hallucination", "false_premise", "incorrect_computation")
"""What is looked for beside the scores; IBM rejects all three whatever the score."""
LOWEST, HIGHEST = 1, 5
Score = Annotated[float, Field(ge=LOWEST, le=HIGHEST)]
"""A weighted mean of the scores."""


@dataclass(frozen=True, kw_only=True)
class JudgeEndpointConfig(EndpointConfig):
    """The server of the judge."""

    key: ClassVar[str] = "stages.sft_data.config.judge.endpoint"


@dataclass(frozen=True, kw_only=True)
class JudgeConfig:
    """Which model judges by which rubric, and which of its verdicts remove a conversation."""

    endpoint: JudgeEndpointConfig
    """The model, behind an OpenAI-compatible server."""
    rubric: str
    """YAML file with what the judge is told; a relative path is looked for in the working directory, then among the
    built-in ones."""
    temperature: NonNegativeFloat
    """Of the verdicts; 0 takes the likeliest token each time."""
    reply_tokens: PositiveInt
    """Most tokens of one verdict; one that is cut short cannot be read."""
    response_format: Literal["json_schema", "json_object"] | None
    """How the server is told to hold the reply to the verdict's schema; null leaves it to the prompt, for servers that
    refuse the key. Whatever comes is held to the schema here."""
    weights: dict[str, NonNegativeFloat]
    """Weight of each of the six dimensions in the score."""
    accept: Score
    """Score from which a conversation is accepted."""
    reject: Score
    """Score below which it is rejected; between the two it is borderline."""
    hard_rejects: tuple[Literal["hallucination", "false_premise", "incorrect_computation"], ...]
    """What rejects a conversation whatever its score."""
    borderline: Literal["keep", "remove"]
    """What is done with borderline conversations."""
    unparsed: Literal["keep", "remove"]
    """What is done with those of whose verdict nothing could be read, or that got none."""
    calibration: str | None = field(metadata={"fingerprint": False})
    """Report of `fivephase calibrate judge`, for this model and rubric. Without one whose floors are met, verdicts are
    recorded and remove nothing."""
    minimum_recall: Share
    """Share of the conversations with a planted defect that the judge must reject, of each defect."""
    minimum_precision: Share
    """Share of those it rejects, among as many with a defect as without, that must have the defect."""

    def __post_init__(self) -> None:
        if sorted(self.weights) != sorted(DIMENSIONS):
            raise ValueError(
                f"weights has {', '.join(sorted(self.weights))}, set one for each of {', '.join(DIMENSIONS)}"
            )
        if not sum(self.weights.values()) > 0:
            raise ValueError("weights are all 0, set at least one above 0")
        if self.reject > self.accept:
            raise ValueError(f"reject is {self.reject:g} and accept {self.accept:g}, set reject to accept or less")

    def data_fingerprint(self) -> dict[str, Any]:
        """What the rubric says and whether the calibration lets the judge remove: a part of the stage's fingerprint.

        Raises:
            UserError: for a rubric or a calibration that cannot be read.
        """
        from pipeline.posttraining.data.judge.gate import find_gate
        from pipeline.posttraining.data.judge.rubric import load_rubric

        return {"rubric": load_rubric(self.rubric).content(), "gates": find_gate(self).open}
