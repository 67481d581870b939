"""Settings of the stage `synthesize`: what programs write, and what a language model is asked to write."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, PositiveInt

from pipeline.language_model.config import EndpointConfig

if TYPE_CHECKING:
    from pipeline.synthesis.language_model.prompt_templates import PromptTemplate


ASSISTANT = "Fivephase"
"""Name that the assistant gives where problems of the environments are written as text: that of conf/stage/sft_data."""


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig(EndpointConfig):
    """A language model behind an OpenAI-compatible server, and the prompts it is asked."""

    prompts: str
    """Folder of prompts, one YAML file each; a relative path is looked for in the working directory, then among the
    built-in ones."""
    names: tuple[str, ...] | None
    """Prompts to ask, of those in the folder; null takes all of them."""
    cpu_seconds: PositiveInt
    """CPU time of one program with its tests, in seconds."""

    def load(self) -> "dict[str, PromptTemplate]":
        """The prompts of the folder by name, read and checked.

        Raises:
            RecipeError: for a prompt that cannot be used, or a name that has no file.
        """
        from pipeline.synthesis.language_model.prompt_templates import load_templates

        return load_templates(Path(self.prompts), self.names)


@dataclass(frozen=True, kw_only=True)
class SynthesizeConfig:
    """How many samples of each kind to make, and within which limits their code is executed."""

    environment_problems: PositiveInt
    """Problems of the training split of all environments together, written as questions with answers, for
    `language_instructions`."""
    environment_chains: PositiveInt
    """Problems of the environments that need reasoning, one degree more difficult, for `long_cot`."""
    difficulty: Annotated[int, Field(ge=1, le=3)]
    """Difficulty of the environments' problems, from 1 to 3."""
    chains: PositiveInt
    """Reasoned solutions of each of seven kinds, for `long_cot`."""
    word_problems: PositiveInt
    """Word problems of each of three kinds, for `synthetic`."""
    packages: tuple[str, ...]
    """Packages whose doctests are run; `python` is the standard library."""
    doctest_files: PositiveInt | None
    """Source files to take doctests from; null takes all."""
    calls: PositiveInt
    """Small programs to write to an instruction and run, for `code_instructions`."""
    cpu_seconds: PositiveInt
    """CPU time of one sandboxed process, which runs the examples of one file, in seconds."""
    memory_bytes: PositiveInt
    """Address space of one sandboxed process, in bytes."""
    workers: PositiveInt | None = field(metadata={"fingerprint": False})
    """Sandboxed processes side by side; null uses one per core."""
    language_model: LanguageModelConfig | None
    """A model that writes samples as well; null leaves them to programs."""

    def needed_inputs(self) -> dict[str, str]:
        """The inputs that these settings cannot do without, by role, with the reason.

        Raises:
            RecipeError: for a prompt that cannot be used.
        """
        prompts = self.language_model.load() if self.language_model is not None else {}
        about_pages = next((name for name, prompt in prompts.items() if hasattr(prompt, "pages")), None)
        return {"corpus": f"the prompt {about_pages} asks about pages"} if about_pages is not None else {}

    def document_domains(self) -> tuple[str, ...]:
        """The domains that samples are written to as documents."""
        from pipeline.synthesis.language_model.prompt_templates import SAMPLE_DOMAINS

        return SAMPLE_DOMAINS

    def data_fingerprint(self) -> dict[str, Any]:
        """The prompts that the settings name, as plain values: they change the result, so the fingerprint has them.

        Environments of one's own that they name come with the hashes of their sources.

        Raises:
            RecipeError: for a prompt that cannot be used.
        """
        if self.language_model is None:
            return {}
        from pipeline.environments.own import own_sources

        prompts = self.language_model.load()
        asked = [name for prompt in prompts.values() for name in getattr(prompt, "environments", ())]
        return {**{name: dataclasses.asdict(prompt) for name, prompt in prompts.items()}, **own_sources(asked)}
