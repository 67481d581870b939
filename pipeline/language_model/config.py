"""Settings of a language model behind an OpenAI-compatible server, and of how its replies are sampled."""

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from pipeline.core.config import Share


@dataclass(frozen=True, kw_only=True)
class EndpointConfig:
    """Where a language model is, how it is asked, and what it may cost."""

    key: ClassVar[str] = "language_model"
    """Place of these settings in those of the stage, for error messages."""

    url: str = field(metadata={"fingerprint": False})
    """Where the server is, up to `/v1`."""
    model: str
    """Name that the server knows the model by."""
    api_key_variable: str | None = field(metadata={"fingerprint": False})
    """Environment variable with the server's key; null sends none."""
    maximum_tokens: PositiveInt
    """Most tokens of all replies together; a request that could exceed them is not made, and has a row."""
    concurrency: PositiveInt = field(metadata={"fingerprint": False})
    """Requests at the same time."""
    timeout_seconds: PositiveFloat = field(metadata={"fingerprint": False})
    """Seconds that one attempt may take."""
    retries: NonNegativeInt = field(metadata={"fingerprint": False})
    """Attempts after the first, for what may pass: 408, 409, 425, 429, 5xx, timeouts, cut or broken answers."""
    backoff_seconds: NonNegativeFloat = field(metadata={"fingerprint": False})
    """Seconds before the second attempt, doubled for each further one up to a minute, unless the server says how
    long."""
    maximum_failed_share: Share = field(metadata={"fingerprint": False})
    """Share of requests that may fail for good; with more the stage ends, and keeps the replies."""
    cache: str = field(metadata={"fingerprint": False})
    """Folder of all replies ever given: what was asked once is not asked again, in any run."""

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"url is {self.url}, set one such as http://localhost:8000/v1")


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """Sampling parameters of one request, as the OpenAI interface has them."""

    maximum_tokens: PositiveInt = 1_024
    """Most tokens of a reply. One that is cut short is not kept."""
    temperature: NonNegativeFloat = 0.7
    """0 takes the likeliest token each time; larger values draw more freely."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    """Only the likeliest tokens are drawn from, so many that their probabilities add up to this."""
