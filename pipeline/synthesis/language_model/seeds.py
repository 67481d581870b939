"""What the model is asked about: pages that curation kept, or problems with computed answers."""

import hashlib
import heapq
import random

from datatrove.data import Document

from pipeline.core.context import StageContext
from pipeline.core.errors import DataError
from pipeline.curation.text.documents import read_folder
from pipeline.environments import ProblemConfig, problems
from pipeline.synthesis.config import ASSISTANT, SynthesizeConfig
from pipeline.synthesis.language_model.prompts import ChainOfThought, CodeWithTests, PagePrompt, Prompt

PROBLEM = "problem"
EXAMPLE = "example"


def seeds_of(context: StageContext[SynthesizeConfig], name: str, prompt: Prompt) -> list[Document]:
    """The seeds of a prompt, each with its own id: a function of the run's seed and of what is there.

    Raises:
        DataError: if there are no pages of the domain.
    """
    seed = context.derive_seed(f"language_model/{name}")
    if isinstance(prompt, ChainOfThought):
        return _problems(prompt, seed)
    assert isinstance(prompt, PagePrompt)
    return _pages(context, name, prompt, seed)


def _problems(prompt: ChainOfThought, seed: int) -> list[Document]:
    options = ProblemConfig(difficulty=prompt.difficulty, assistant=ASSISTANT)
    per_environment = -(-prompt.count // len(prompt.environments))
    found: list[Document] = []
    for environment in prompt.environments:
        # The first problem is the example of all others.
        example, *posed = problems(environment, per_environment + 1, seed, "train", options)
        found += [
            Document(
                text=problem.prompt,
                id=f"{environment}/{number:06d}",
                metadata={PROBLEM: problem.to_record(), EXAMPLE: example.to_record()},
            )
            for number, problem in enumerate(posed)
        ]
    return found[: prompt.count]


def _pages(context: StageContext[SynthesizeConfig], name: str, prompt: PagePrompt, seed: int) -> list[Document]:
    if "corpus" not in context.inputs:
        raise DataError(f"{name}: asks about pages, set stages.{context.stage}.inputs.corpus=curate")
    folder = context.inputs["corpus"].directory / "documents" / prompt.pages
    if not folder.is_dir():
        raise DataError(f"{folder}: no documents, set pages of {name} to a domain that was curated")
    long_enough = (page for page in read_folder(folder) if len(page.text.split()) >= prompt.minimum_words)
    found = heapq.nsmallest(prompt.count, long_enough, key=lambda page: _place(seed, str(page.id)))
    # Without exact_dedup a domain may hold a content twice.
    chosen = list({page.id: page for page in found}.values())
    if not chosen:
        raise DataError(f"{folder}: no page has {prompt.minimum_words} words, set minimum_words of {name} lower")
    return [
        Document(text=_shown(prompt, page, seed), id=str(page.id), metadata={"source": page.metadata["source"]})
        for page in chosen
    ]


def _place(seed: int, identity: str) -> bytes:
    return hashlib.sha256(f"{seed}/{identity}".encode()).digest()


def _shown(prompt: PagePrompt, page: Document, seed: int) -> str:
    """The part of a page that the model is shown."""
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
