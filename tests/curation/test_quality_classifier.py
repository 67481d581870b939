"""A score is the probability of high quality, whichever way round the labels are."""

import pytest
from datatrove.data import Document

from pipeline.curation.high_quality import select
from pipeline.curation.ledger import Ledger
from pipeline.curation.quality_classifier import Label, features, train
from pipeline.curation.recipe_steps import QualityClassifier

STEP = QualityClassifier(step="quality_classifier", positives=("books",), hash_bits=12, epochs=8)
GOOD = [f"the theorem follows from the lemma and proof {index}" for index in range(40)]
BAD = [f"click here to buy cheap offers now {index}" for index in range(40)]
EXAMPLES: list[tuple[str, Label]] = [*((text, "high") for text in GOOD), *((text, "web") for text in BAD)]


@pytest.mark.parametrize("labels", [("web", "high"), ("high", "web")])
def test_the_score_is_that_of_high_quality_for_both_orders_of_labels(labels: tuple[Label, Label]) -> None:
    model = train(EXAMPLES, STEP, labels)
    good, bad, empty = model.score(
        [features(text, STEP) for text in ("the proof of the theorem", "buy cheap offers", "")]
    )
    assert good > 0.8
    assert bad < 0.2
    assert 0.0 <= empty <= 1.0


def test_training_twice_gives_the_same_scores() -> None:
    bags = [features(text, STEP) for text in GOOD[:5] + BAD[:5]]
    assert train(EXAMPLES, STEP).score(bags) == train(EXAMPLES, STEP).score(bags)


def test_the_share_is_kept_and_the_rest_has_rows() -> None:
    candidates = [Document(text="t", id=f"{index:02d}", metadata={"origin": "o", "source": "s"}) for index in range(10)]
    scores = [0.1, 0.9, 0.5, 0.9, 0.2, 0.3, 0.5, 0.8, 0.0, 0.5]
    ledger = Ledger(["quality_classifier"])
    kept = list(select(candidates, scores, 0.4, "quality_classifier", ledger))
    assert [document.id for document in kept] == ["01", "02", "03", "07"]
    assert [row["value"] for row in ledger.rows] == [0.1, 0.2, 0.3, 0.5, 0.0, 0.5]
    assert {row["threshold"] for row in ledger.rows} == {0.5}
