"""A high-quality subset: the share of a domain's documents that a classifier puts highest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from datatrove.data import Document

from pipeline.curation import documents
from pipeline.curation.ledger import Ledger
from pipeline.curation.parallel import Counter
from pipeline.curation.recipe import Recipe
from pipeline.curation.recipe_sources import DomainSource
from pipeline.curation.recipe_steps import QualityClassifier
from pipeline.curation.rules.rule import Removal
from pipeline.curation.tasks import READ, write_domain
from pipeline.errors import DataError
from pipeline.files import write_json


@dataclass(frozen=True)
class SelectHighQuality:
    """Trains the classifier of a recipe, scores the domain it reads, and keeps the best documents."""

    recipe: Recipe
    output: Path
    funnel: Path
    documents_per_file: int

    def __call__(self, counter: Counter) -> None:
        """Writes the domain."""
        source, step = self.recipe.sources[0], self.recipe.steps[0]
        assert isinstance(source, DomainSource)
        assert isinstance(step, QualityClassifier)
        candidates = list(documents.read_folder(self.output / "documents" / source.domain))
        scores = self._scores(candidates, step, counter)
        ledger = Ledger([READ, step.step])
        for document in candidates:
            ledger.keep(READ, len(document.text), len(document.text))
        kept = select(candidates, scores, step.keep_share, step.step, ledger)
        write_domain(self.output, self.recipe, kept, ledger, self.documents_per_file)
        write_json(self.funnel, ledger.funnel())
        counter.unit()

    def _scores(self, candidates: list[Document], step: QualityClassifier, counter: Counter) -> list[float]:
        import torch

        from pipeline.curation.quality_classifier import Label, features, train

        # One thread, so that sums are made in one order and the scores are the same on any machine.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            # Documents are in the order of hashes of their content: the first of them are a random sample.
            examples: list[tuple[str, Label]] = []
            for domain in step.positives:
                curated = documents.read_folder(self.output / "documents" / domain)
                share = step.training_documents // len(step.positives)
                for document in islice(curated, share):
                    examples.append((document.text, "high"))
            if not examples or not candidates:
                raise DataError(
                    f"{self.recipe.domain}: nothing to learn from: {len(examples)} documents in "
                    f"{step.positives}, "
                    f"{len(candidates)} to score; loosen the filters of their recipes"
                )
            for document in candidates[: step.training_documents]:
                examples.append((document.text, "web"))
            model = train(examples, step)
            scores: list[float] = []
            for document in candidates:
                scores += model.score([features(document.text, step)])
                counter.document()
            return scores
        finally:
            torch.set_num_threads(threads)


def select(
    candidates: Sequence[Document], scores: Sequence[float], share: float, step: str, ledger: Ledger
) -> Iterator[Document]:
    """The share of documents with the highest scores, in their order; of equal scores, small ids first."""
    ranking = sorted(range(len(candidates)), key=lambda index: (-scores[index], str(candidates[index].id)))
    count = max(1, round(share * len(candidates)))
    chosen = set(ranking[:count])
    threshold = scores[ranking[count - 1]]
    for index, document in enumerate(candidates):
        if index in chosen:
            ledger.keep(step, len(document.text), len(document.text))
            document.metadata["quality"] = scores[index]
            yield document
        else:
            removal = Removal(reason="low_score", value=scores[index], threshold=threshold)
            ledger.remove(step, document, removal)
