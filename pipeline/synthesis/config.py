"""pipeline/synthesis/config.py"""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.synthesis.language_model.prompts import Prompt


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig:
    """A language model behind an OpenAI-compatible server, and what it is asked."""

    url: str = field(metadata={"fingerprint": False})
    """Where the server is, up to `/v1`."""
    model: str
    """Name that the server knows the model by."""
    api_key_variable: str | None = field(default=None, metadata={"fingerprint": False})
    """Environment variable with the server's key; null sends none."""
    prompts: str = "data_recipes/language_model"
    """Folder of prompts, one YAML file each. A relative path is looked for in the working directory, then
    among the built-in ones."""
    names: tuple[str, ...] | None = None
    """Prompts to ask, of those in the folder; null takes all of them."""
    maximum_tokens: int = 10_000_000
    """Most tokens of all replies together. What is reached first comes first; what is left out has a row."""
    concurrency: int = field(default=64, metadata={"fingerprint": False})
    """Requests at the same time."""
    timeout_seconds: float = field(default=600.0, metadata={"fingerprint": False})
    """Longest that one attempt may take."""
    retries: int = field(default=6, metadata={"fingerprint": False})
    """Attempts after the first, for what may pass: 408, 409, 425, 429, 5xx, timeouts, cut or broken answers."""
    backoff_seconds: float = field(default=1.0, metadata={"fingerprint": False})
    """Wait before the second attempt; doubled for each further one, up to a minute, unless the server says how long."""
    maximum_failed_share: float = field(default=0.05, metadata={"fingerprint": False})
    """Share of requests that may fail for good; with more the stage ends. Replies are kept."""
    cache: str = field(default="runs/replies", metadata={"fingerprint": False})
    """Folder of all replies ever given: what was asked once is not asked again, in any run."""
    cpu_seconds: int = 5
    """CPU time of one program with its tests, in seconds."""

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"url is {self.url}, set one such as http://localhost:8000/v1")
        for name in ("maximum_tokens", "concurrency", "timeout_seconds", "cpu_seconds"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, set it above 0")
        for name in ("retries", "backoff_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}, set 0 or more")
        if not 0 <= self.maximum_failed_share <= 1:
            raise ValueError(f"maximum_failed_share is {self.maximum_failed_share}, set 0 to 1")

    def load(self) -> "dict[str, Prompt]":
        """The prompts by name, checked.

        Raises:
            RecipeError: for one that cannot be used.
        """
        from pipeline.synthesis.language_model.prompts import load_prompts

        return load_prompts(Path(self.prompts), self.names)


@dataclass(frozen=True, kw_only=True)
class SynthesizeConfig:
    """Samples whose answers were computed or run."""

    environment_problems: int = 8_000
    """Problems of the training split of all environments together, written as questions with answers."""
    environment_chains: int = 1_500
    """Problems of the environments that need reasoning, one degree more difficult, for `long_cot`."""
    difficulty: int = 1
    """Difficulty of the environments' problems, from 1 to 3."""
    chains: int = 250
    """Reasoned solutions of each of seven kinds, for `long_cot`."""
    word_problems: int = 300
    """Word problems of each of three kinds, for `synthetic`."""
    packages: tuple[str, ...] = ("python",)
    """Packages whose doctests are run; `python` is the standard library."""
    doctest_files: int | None = None
    """Source files to take doctests from; null takes all."""
    calls: int = 2_000
    """Small programs to write to an instruction and run, for `code_instructions`."""
    cpu_seconds: int = 20
    """CPU time of one sandboxed process, which runs the examples of one file, in seconds."""
    memory_bytes: int = 2 * 1024**3
    """Address space of one sandboxed process, in bytes."""
    workers: int | None = field(default=None, metadata={"fingerprint": False})
    """Sandboxed processes side by side; null uses one per core."""
    language_model: LanguageModelConfig | None = None
    """A model that writes samples as well; null leaves them to programs."""

    def data_fingerprint(self) -> dict[str, Any]:
        """What the model is asked: a part of the stage's fingerprint.

        Raises:
            RecipeError: for a prompt that cannot be used.
        """
        if self.language_model is None:
            return {}
        return {name: dataclasses.asdict(prompt) for name, prompt in self.language_model.load().items()}

    def __post_init__(self) -> None:
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if isinstance(value, int) and value < 1:
                raise ValueError(f"{each.name} is {value}, set 1 or more")
        if self.difficulty > 3:
            raise ValueError(f"difficulty is {self.difficulty}, set 1, 2 or 3")
