"""Copies within documents: all of them and nothing else, whatever the unit, the numbers and how the work is divided."""

import random
from pathlib import Path
from typing import Any

import numpy
import pytest
import tokenizers
from datatrove.data import Document
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.config import build
from pipeline.core.errors import ConfigError, DataError
from pipeline.core.files import read_json
from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.dedup import substrings
from pipeline.curation.dedup.repeated_ngrams import UNIT_BITS, find_repeats, ngram_hashes, place_of, write_ngrams
from pipeline.curation.dedup.text_units import unit_splitter
from pipeline.curation.recipes.steps.duplicates import SubstringDedup
from pipeline.curation.text.documents import content_id, read_folder, read_rows, write_documents
from tests.curation.conftest import Curate
from tests.curation.recipe_files import hashes, recipe, write_lines, write_recipe

LETTERS = st.text("ab ", max_size=60)


def step(**settings_: Any) -> SubstringDedup:
    return build(SubstringDedup, {"step": "substring_dedup", **settings_}, "")


@given(numbers=st.lists(st.integers(0, 3), max_size=60), length=st.integers(1, 8))
def test_ngrams_have_one_hash_if_and_only_if_they_are_equal(numbers: list[int], length: int) -> None:
    found = ngram_hashes(numpy.array(numbers, numpy.uint64), length)
    ngrams = [tuple(numbers[start : start + length]) for start in range(len(numbers) - length + 1)]
    assert len(found) == len(ngrams)
    assert len(set(found.tolist())) == len(set(ngrams))
    assert len(set(zip(ngrams, found.tolist(), strict=True))) == len(set(ngrams))


@pytest.mark.parametrize("unit", ["words", "bytes"])
@given(text=st.text(max_size=60))
def test_units_are_where_they_say(unit: str, text: str) -> None:
    content = text.encode()
    numbers, spans = unit_splitter(step(unit=unit))(text)
    parts = [content[start:end] for start, end in spans.tolist()]
    assert len(numbers) == len(parts)
    assert len({*zip(parts, numbers.tolist(), strict=True)}) == len(set(parts)) == len(set(numbers.tolist()))
    words = [word.encode() for word in text.split()]
    assert parts == (words if unit == "words" else [bytes([each]) for each in content])


def brute_force(texts: list[str], length: int) -> list[list[str]]:
    """The words that stay: a word goes if it is in an n-gram that stood before, unless in the first occurrence."""
    first: dict[tuple[str, ...], tuple[int, int]] = {}
    left = []
    for number, text in enumerate(texts):
        words = text.split()
        gone, needed = [False] * len(words), [False] * len(words)
        for start in range(len(words) - length + 1):
            document, at = first.setdefault(tuple(words[start : start + length]), (number, start))
            if (document, at) != (number, start):
                gone[start : start + length] = [True] * length
                if document == number:
                    needed[at : at + length] = [True] * length
        left.append([word for word, out, kept in zip(words, gone, needed, strict=True) if kept or not out])
    return left


def cut(texts: list[str], setting: SubstringDedup, folder: Path, previous: int = 0) -> list[Document]:
    """What the step makes of texts in this order, by way of files; the first `previous` are of a previous run."""
    half = previous or len(texts) // 2
    paths = [folder / "0.jsonl.gz", folder / "1.jsonl.gz"]
    for path, part, offset in zip(paths, (texts[:half], texts[half:]), (0, half), strict=True):
        numbered = enumerate(part, start=offset)
        write_documents(
            path, [Document(text=text, id=str(place), metadata={"origin": "x"}) for place, text in numbered]
        )
        split = unit_splitter(setting)
        units = ((offset + place, split(text)) for place, text in enumerate(part))
        shard = int(offset > 0 or path is paths[1])
        write_ngrams(units, setting.minimum_units, setting.buckets, folder / "ngrams", shard)
    for bucket in range(setting.buckets):
        files = [folder / "ngrams" / f"{bucket:03d}" / f"{shard:05d}.npy" for shard in (0, 1)]
        find_repeats([(path, 0) for path in files], folder / "repeats" / f"{bucket}.npy", previous)
    audit = AuditLog(["substring_dedup"])
    repeats = [folder / "repeats" / f"{bucket}.npy" for bucket in range(setting.buckets)]
    before = substrings.PreviousDocuments(paths[:1], previous) if previous else substrings.PreviousDocuments()
    shards = paths[1:] if previous else paths
    return list(substrings.remove_copies(shards, repeats, folder / "work", setting, audit, before))


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(LETTERS, min_size=1, max_size=6), length=st.integers(2, 4), buckets=st.integers(1, 3))
def test_what_goes_is_what_stood_before(texts: list[str], length: int, buckets: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        setting = step(minimum_units=length, buckets=buckets, minimum_left=0)
        made = cut(texts, setting, Path(folder))
    # Documents that became equal are one.
    wanted: list[list[str]] = []
    cut_to: list[list[str]] = []
    for text, words in zip(texts, brute_force(texts, length), strict=True):
        if words == text.split():
            wanted.append(words)
        elif words not in cut_to:
            cut_to.append(words)
            wanted.append(words)
    assert [document.text.split() for document in made] == wanted


@settings(max_examples=60, deadline=None)
@given(previous=st.lists(LETTERS, min_size=1, max_size=3), new=st.lists(LETTERS, max_size=4), length=st.integers(2, 4))
def test_what_a_previous_run_has_goes_and_stays_there(previous: list[str], new: list[str], length: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        made = cut(
            [*previous, *new], step(minimum_units=length, buckets=2, minimum_left=0), Path(folder), len(previous)
        )
    left = brute_force([*previous, *new], length)[len(previous) :]
    edited = [words for text, words in zip(new, left, strict=True) if words != text.split()]
    kept = [document.text.split() for document in made]
    assert [words for words in left if words not in edited] == [words for words in kept if words not in edited]
    assert {tuple(words) for words in left} == {tuple(words) for words in kept}


def test_a_text_that_repeats_itself_keeps_the_first_copy(tmp_path: Path) -> None:
    period = " ".join(["tick", "tock", "and"] * 40)
    made = cut([" ".join(["same"] * 52), f"{period} the end of it"], step(buckets=1), tmp_path)
    assert [document.text.split() for document in made] == [
        ["same"] * 50,
        [*(["tick", "tock", "and"] * 18)[:52], "the", "end", "of", "it"],
    ]


def test_what_goes_whole_is_no_first_copy(tmp_path: Path) -> None:
    """The second text goes, as it is nearly all of the first; what it has of its own stays in the third."""
    passage, own = [f"word{number}" for number in range(60)], ["five", "words", "of", "its", "own"]
    texts = [" ".join(passage), " ".join([*passage, *own]), " ".join(["But", *passage[20:], *own, *passage[::-1][:30]])]
    made = cut(texts, step(minimum_units=30, minimum_left=10, buckets=2), tmp_path)
    kept = [document.text for document in made]
    assert len(kept) == 2
    assert " ".join(own) in kept[1]


def test_equal_hashes_of_different_texts_take_nothing_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.curation.dedup.repeated_ngrams.ngram_hashes", lambda numbers, length: numpy.zeros(
        max(0, len(numbers) - length + 1), numpy.uint64))  # fmt: skip
    texts = ["one two three four five", "six seven eight nine ten", "zero one two three"]
    made = cut(texts, step(minimum_units=3, buckets=1), tmp_path)
    assert [document.text for document in made][1] == texts[1]


def test_vocabularies_and_places_beyond_16_and_32_bits(tmp_path: Path) -> None:
    """Tokens 1 and 65,537 differ; documents beyond the 2^32nd unit keep their places."""
    numbers = numpy.array([1, 2, 3, 65_537, 2, 3, 1, 2, 3], numpy.uint64)
    far = (1 << 36) // 8
    write_ngrams([(far, (numbers, numpy.empty(0))), (far + 1, (numbers[3:6], numpy.empty(0)))], 3, 1, tmp_path, 0)
    find_repeats([(tmp_path / "000" / "00000.npy", 0)], tmp_path / "repeats.npy")
    found = {tuple(map(int, row)) for row in numpy.load(tmp_path / "repeats.npy")}
    assert found == {(place_of(far, 6), place_of(far, 0)), (place_of(far + 1, 0), place_of(far, 3))}
    assert place_of(far, 0) >> 32 > 0
    with pytest.raises(DataError, match="units"):
        place_of(0, 1 << UNIT_BITS)


def test_tokens_of_a_large_vocabulary(tmp_path: Path, run_curate: Curate) -> None:
    words = [f"w{number}" for number in range(70_000)]
    vocabulary = {word: number for number, word in enumerate([*words, "[UNK]"])}
    model = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    model.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()  # type: ignore[assignment]
    model.save(str(tmp_path / "tokenizer.json"))
    low, high = " ".join(words[100:160]), " ".join(words[65_636:65_696])
    texts = {f"{low} a b c d e f g h i j", f"{high} k l m n o p q r s t", f"u v {high} w x y z aa bb cc dd ee ff"}
    steps = [{"step": "substring_dedup", "unit": "tokens", "tokenizer": str(tmp_path / "tokenizer.json")}]
    write_recipe(tmp_path / "recipes", recipe(write_lines(tmp_path / "lines.jsonl", texts), steps))
    output, result = run_curate(tmp_path / "recipes")
    assert result.counts == {"in": 3, "kept": 3, "removed": 0}
    left = [document.text for document in read_folder(output / "documents" / "technical")]
    assert sum(high in text for text in left) == 1
    assert sum(low in text for text in left) == 1


def planted(count: int, seed: int) -> tuple[list[str], int]:
    """Texts of random words; half of them have a passage of another, of 40 to 80 words. Also those of 50 and more."""
    draw = random.Random(seed)
    words = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=6)) for _ in range(5000)]
    originals = [draw.choices(words, k=200) for _ in range(count)]
    texts, long = [" ".join(each) for each in originals], 0
    for original in originals:
        size = draw.randrange(40, 81)
        start = draw.randrange(200 - size)
        long += size >= 50
        passage = original[start : start + size]
        texts.append(" ".join([*draw.choices(words, k=60), *passage, *draw.choices(words, k=60)]))
    return texts, long


@pytest.mark.parametrize("unit", ["words", "bytes"])
def test_planted_copies_are_found_all_and_nothing_else(tmp_path: Path, run_curate: Curate, unit: str) -> None:
    texts, long = planted(30, seed=3)
    steps = [{"step": "substring_dedup", "unit": unit, "minimum_units": 50 if unit == "words" else 350}]
    write_recipe(tmp_path / "recipes", recipe(write_lines(tmp_path / "lines.jsonl", texts), steps))
    output, result = run_curate(tmp_path / "recipes")
    assert result.counts is not None
    assert result.counts["kept"] == 60
    rows = list(read_rows(output / "matches" / "technical" / "00000.jsonl.gz"))
    funnel = read_json(output / "report.json")["technical"]["steps"][-1]
    assert funnel["edited"] == funnel["found"]["copies"] == len(rows)
    assert all(row["value"] >= row["threshold"] for row in rows)
    if unit == "words":
        assert len(rows) == long
    else:
        assert abs(len(rows) - long) <= 3
    ids = {content_id(text) for text in texts}
    assert all(row["duplicate_of"] in ids for row in rows)


def test_nothing_depends_on_how_the_work_is_divided(tmp_path: Path, run_curate: Curate) -> None:
    texts, _ = planted(10, seed=4)
    for number in range(4):
        write_lines(tmp_path / "lines" / f"{number}.jsonl", texts[number::4])
    steps = [{"step": "exact_dedup"}, {"step": "minhash"}, {"step": "substring_dedup", "buckets": 3}]
    write_recipe(tmp_path / "recipes", recipe(tmp_path / "lines", steps))
    one, _ = run_curate(tmp_path / "recipes", "one", tasks=1)
    three, _ = run_curate(tmp_path / "recipes", "three", tasks=3, workers=2)
    assert hashes(one) == hashes(three)


def test_a_document_that_is_a_copy_goes(tmp_path: Path, run_curate: Curate) -> None:
    text = " ".join(f"word{number}" for number in range(60))
    lines = write_lines(tmp_path / "lines.jsonl", [f"{text} and this", f"But {text}"])
    write_recipe(tmp_path / "recipes", recipe(lines, [{"step": "substring_dedup"}]))
    output, result = run_curate(tmp_path / "recipes")
    assert result.counts == {"in": 2, "kept": 1, "removed": 1}
    (row,) = read_rows(output / "removed" / "technical" / "00000.jsonl.gz")
    assert (row["reason"], row["threshold"]) == ("copied", 10)
    assert row["value"] < 10


def test_cuts_leave_whole_characters(tmp_path: Path) -> None:
    texts = ["ä" * 30 + "b", "ö" + "ä" * 30 + "c"]
    made = cut(texts, step(unit="bytes", minimum_units=9, minimum_left=0), tmp_path)
    assert [document.text for document in made] == ["äääääb", "öc"]


def test_a_unit_needs_what_it_counts_with() -> None:
    with pytest.raises(ConfigError, match="set a tokenizer with tokens"):
        step(unit="tokens")
    with pytest.raises(ConfigError, match="set a tokenizer with tokens"):
        step(tokenizer="a.json")
