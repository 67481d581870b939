"""Seed documents: what the model is asked about, pages that curation kept or problems with computed answers."""

import hashlib
import heapq
import random

from datatrove.data import Document

from pipeline.core.context import StageContext
from pipeline.core.errors import DataError
from pipeline.curation.text.documents import read_folder
from pipeline.environments import ProblemConfig, problems
from pipeline.synthesis.config import ASSISTANT, SynthesizeConfig
from pipeline.synthesis.language_model.prompt_templates import (
    ChainOfThought,
    CodeWithTests,
    PageTemplate,
    PromptTemplate,
)

PROBLEM = "problem"
"""Key of a seed document's metadata: the record of the problem whose prompt is its text."""
EXAMPLE = "example"
"""Key of a seed document's metadata: the record of another problem, with its solution, to show the wanted form."""


def seed_documents(context: StageContext[SynthesizeConfig], name: str, prompt: PromptTemplate) -> list[Document]:
    """The documents that a prompt is asked about, at most `prompt.count` of them, each with an id of its own.

    They depend on the run's seed and the corpus alone, so that an interrupted stage finds the same requests in the
    cache when it runs again.

    Args:
        context: of the stage; prompts about pages read its input `corpus`.
        name: the prompt's name, which names its random stream.
        prompt: what is asked.

    Raises:
        DataError: if a prompt is about pages and there are none of its domain, or none long enough.
    """
    seed = context.derive_seed(f"language_model/{name}")
    if isinstance(prompt, ChainOfThought):
        return _problems(prompt, seed)
    assert isinstance(prompt, PageTemplate)
    return _pages(context, name, prompt, seed)


def _problems(prompt: ChainOfThought, seed: int) -> list[Document]:
    problem_config = ProblemConfig(difficulty=prompt.difficulty, assistant=ASSISTANT)
    per_environment = -(-prompt.count // len(prompt.environments))
    found: list[Document] = []
    for environment in prompt.environments:
        # The first problem is the example for all others.
        example, *others = problems(environment, per_environment + 1, seed, "train", problem_config)
        found += [
            Document(
                text=problem.prompt,
                id=f"{environment}/{number:06d}",
                metadata={PROBLEM: problem.to_record(), EXAMPLE: example.to_record()},
            )
            for number, problem in enumerate(others)
        ]
    return found[: prompt.count]


def _pages(context: StageContext[SynthesizeConfig], name: str, prompt: PageTemplate, seed: int) -> list[Document]:
    if "corpus" not in context.inputs:
        raise DataError(f"{name}: asks about pages, set stages.{context.stage}.inputs.corpus=curate")
    folder = context.inputs["corpus"].directory / "documents" / prompt.pages
    if not folder.is_dir():
        raise DataError(f"{folder}: no documents, set pages of {name} to a domain that was curated")
    long_enough = (page for page in read_folder(folder) if len(page.text.split()) >= prompt.minimum_words)
    found = heapq.nsmallest(prompt.count, long_enough, key=lambda page: _sampling_key(seed, str(page.id)))
    # A domain that was curated without exact_dedup may have a page twice.
    chosen = list({page.id: page for page in found}.values())
    if not chosen:
        raise DataError(f"{folder}: no page has {prompt.minimum_words} words, set minimum_words of {name} lower")
    return [
        Document(text=_excerpt(prompt, page, seed), id=str(page.id), metadata={"source": page.metadata["source"]})
        for page in chosen
    ]


def _sampling_key(seed: int, document_id: str) -> bytes:
    """The pages with the smallest keys are a random sample, whatever order they are read in."""
    return hashlib.sha256(f"{seed}/{document_id}".encode()).digest()


def _excerpt(prompt: PageTemplate, page: Document, seed: int) -> str:
    """The part of a page that the model is shown: random lines of code, or the first lines of prose."""
    lines = page.text.splitlines()
    if isinstance(prompt, CodeWithTests):
        draw = random.Random(f"{seed}/{page.id}")
        return "\n".join(lines[draw.randrange(max(len(lines) - prompt.snippet_lines, 0) + 1) :][: prompt.snippet_lines])
    words, kept = 0, []
    for line in lines:
        words += len(line.split())
        if kept and words > prompt.maximum_words:
            break
        kept.append(line)
    if len(kept) == 1:
        return " ".join(kept[0].split()[: prompt.maximum_words])
    return "\n".join(kept)
