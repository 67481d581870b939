"""Planted duplicates: how many are found, and how many of those found are none, beside what theory says.

    python benchmarks/duplicates.py --write benchmarks/duplicates.md

For each similarity, pairs of texts of random words of which a part is replaced until the Jaccard similarity of their
5-grams is as near to it as can be. A pair is a candidate if the two have a bucket in common, and a duplicate if their
true similarity reaches the threshold: below it none is called one, so that precision is 1. Equal texts, and passages of
some length copied into other texts, go through the stage itself. Pages of one template are alike, but not enough: all
stay, and each has to be held against all others in its bucket.
"""

import argparse
import json
import platform
import random
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy
import yaml
from datatrove.data import Document

from pipeline.control.compose import compose, typed
from pipeline.core.config import build
from pipeline.core.context import StageContext
from pipeline.curation import curate
from pipeline.curation.audit.audit_log import AuditLog
from pipeline.curation.config import CurateConfig
from pipeline.curation.dedup import lsh_buckets, minhash, near_duplicates
from pipeline.curation.dedup.minhash import MinHasher
from pipeline.curation.dedup.shingles import jaccard, shingle_hasher
from pipeline.curation.recipes.steps.duplicates import MinHash
from pipeline.curation.text.documents import content_id, read_documents, read_folder, write_documents

WORDS = 400
NEW_WORDS = 80
"""Words that a page of the template has for itself: of 5-grams, .67 are shared."""
N_GRAMS = 5
SIMILARITIES = (0.4, 0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
SETTINGS = ((14, 8), (32, 10), (9, 13))
BEGINNINGS = ("ba", "de", "fi", "go", "ku", "la", "mo", "ne")
ENDS = ("bat", "den", "fig", "gos", "kun", "lap", "mod", "net", "pir", "rus", "sal", "tem", "vix", "wop")
VOCABULARY = [beginning + end for beginning in BEGINNINGS for end in ENDS]


def pair(draw: random.Random, similarity: float) -> tuple[str, str]:
    """Two texts of about this similarity: the second has the beginning of the first, and other words after it."""
    one = draw.choices(VOCABULARY, k=WORDS)
    shingles = WORDS - N_GRAMS + 1
    same = round(2 * shingles * similarity / (1 + similarity)) + N_GRAMS - 1
    return " ".join(one), " ".join([*one[:same], *draw.choices(VOCABULARY, k=WORDS - same)])


def measure(buckets: int, hashes: int, similarity: float, trials: int) -> tuple[float, float, float, float]:
    """Mean true similarity; shares of pairs that theory, and the step, call candidates; and share called duplicates."""
    step = MinHash(step="minhash", buckets=buckets, hashes_per_bucket=hashes)
    shingles, signatures = shingle_hasher(step.language, N_GRAMS), MinHasher(step)
    draw = random.Random(f"{buckets} {hashes} {similarity}")
    true, expected, candidates, duplicates = 0.0, 0.0, 0, 0
    for _ in range(trials):
        one, other = map(shingles, pair(draw, similarity))
        value = jaccard(one, other)
        together = bool((signatures(one) == signatures(other)).any())
        true += value
        expected += 1 - (1 - value**hashes) ** buckets
        candidates += together
        duplicates += together and value >= step.minimum_jaccard
    return true / trials, expected / trials, candidates / trials, duplicates / trials


def table(buckets: int, hashes: int, trials: int) -> Sequence[str]:
    """One setting as Markdown."""
    lines = [
        f"{buckets} buckets of {hashes} hashes, {trials} pairs each:",
        "",
        "| similarity | candidates, theory | candidates, found | duplicates at 0.75 |",
        "|---|---|---|---|",
    ]
    for similarity in SIMILARITIES:
        true, expected, candidates, duplicates = measure(buckets, hashes, similarity, trials)
        lines.append(f"| {true:.3f} | {expected:.3f} | {candidates:.3f} | {duplicates:.3f} |")
    return [*lines, ""]


def curated(texts: Sequence[str], steps: Sequence[dict[str, object]]) -> list[str]:
    """What the stage keeps of texts."""
    disclosure = dict.fromkeys(("name", "url", "date_obtained", "description", "source", "data_provenance"), "none")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        recipe = {
            "domain": "technical", "description": "planted", "licence": "none", "languages": ["en"],
            "steps": list(steps),
            "sources": [{"kind": "jsonl", "path": str(folder / "in.jsonl"), "disclosure": disclosure}],
        }  # fmt: skip
        (folder / "technical.yaml").write_text(yaml.safe_dump(recipe))
        settings = typed(compose([f"stages.curate.config.recipes={name}"])).stages["curate"]
        assert settings is not None
        config = build(CurateConfig, settings.config, "stages.curate.config")
        context = StageContext.for_test("curate", config, {}, folder / "stage")
        curate.run(context)
        return [document.text for document in read_folder(context.output / "documents" / "technical")]


def exact(trials: int) -> list[str]:
    """Equal texts, half of them with other white space at the ends of their lines, as Markdown."""
    draw = random.Random("exact")
    texts = [" ".join(draw.choices(VOCABULARY, k=WORDS)) for _ in range(2 * trials)]
    copies = [f"{text} \r\n" if number % 2 else text for number, text in enumerate(texts[:trials])]
    # A text that differs in one word is another one.
    others = [f"{text} {VOCABULARY[0]}" for text in texts[trials:]]
    kept = {text.strip() for text in curated([*texts, *copies, *others], [{"step": "exact_dedup"}])}
    found = len(texts) + len(copies) + len(others) - len(kept)
    lost = sum(text not in kept for text in [*texts, *others])
    return [
        f"`exact_dedup`: of {trials} planted copies {found} found; of {len(texts) + len(others)} different texts, "
        f"{len(others)} of them with one word more than another, {lost} lost.",
        "",
    ]


def passages(trials: int, minimum_units: int = 50) -> list[str]:
    """Passages of a text that come again in another one, by their length, as Markdown."""
    lines = [
        f"`substring_dedup`, {minimum_units} words, {trials} passages of each length:",
        "",
        "| words in the passage | found | first copy lost | words beside it lost |",
        "|---|---|---|---|",
    ]
    for length in (minimum_units - 10, minimum_units - 1, minimum_units, minimum_units + 1, 2 * minimum_units):
        draw = random.Random(f"passages {length}")
        firsts = [" ".join(draw.choices(VOCABULARY, k=WORDS)) for _ in range(trials)]
        planted = [" ".join(first.split()[20 : 20 + length]) for first in firsts]
        sides = [[" ".join(draw.choices(VOCABULARY, k=WORDS // 4)) for _ in range(2)] for _ in range(trials)]
        texts = [*firsts, *(f"{one} {each} {two}" for each, (one, two) in zip(planted, sides, strict=True))]
        step = {"step": "substring_dedup", "unit": "words", "minimum_units": minimum_units}
        # Which copy comes first is a matter of the ids.
        kept = curated(texts, [{"step": "exact_dedup"}, step])
        times = [sum(each in text for text in kept) for each in planted]
        beside = sum(side not in " ".join(kept) for pair_of_sides in sides for side in pair_of_sides)
        found, lost = (sum(number == wanted for number in times) / trials for wanted in (1, 0))
        lines.append(f"| {length} | {found:.3f} | {lost:.3f} | {beside / (2 * trials):.3f} |")
    return [*lines, ""]


def templates() -> list[str]:
    """How long pages of one template take that are candidates and no duplicates, as Markdown."""
    step = MinHash(step="minhash")
    lines = [
        f"Pages of one template, {1 - NEW_WORDS / WORDS:.0%} of whose words are the template's, in one process:",
        "",
        "| pages | pairs with a bucket in common, one for each bucket | kept | seconds |",
        "|---|---|---|---|",
    ]
    for count in (1000, 4000, 16000):
        draw = random.Random("templates")
        template = draw.choices(VOCABULARY, k=WORDS - NEW_WORDS)
        texts = (" ".join([*template, *draw.choices(VOCABULARY, k=NEW_WORDS)]) for _ in range(count))
        pages = [Document(text=text, id=content_id(text), metadata={"source": "", "origin": ""}) for text in texts]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_documents(folder / "pages.jsonl.gz", sorted(pages, key=lambda page: page.id))
            minhash.write_signatures(read_documents(folder / "pages.jsonl.gz"), step, folder / "signatures.npy")
            for bucket in range(step.buckets):
                lsh_buckets.write_candidate_groups([folder / "signatures.npy"], bucket, folder / "groups")
            sizes = numpy.concatenate([numpy.load(path) for path in (folder / "groups").glob("*.sizes.npy")])
            start = time.perf_counter()
            stream = near_duplicates.remove_near_duplicates(
                [folder / "pages.jsonl.gz"], count, [], folder / "groups", folder / "work", step, AuditLog(["minhash"])
            )
            kept = sum(1 for _ in stream)
            seconds = time.perf_counter() - start
        lines.append(f"| {count:,} | {(sizes * (sizes - 1) // 2).sum():,} | {kept:,} | {seconds:.1f} |")
    return [*lines, ""]


def main() -> None:
    """Prints or writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--write", type=Path, help="file to write the tables to")
    options = parser.parse_args()
    lines = [
        "`python benchmarks/duplicates.py`; below the threshold no pair is called a duplicate: precision is 1.",
        "",
    ]
    lines += [f"Python {platform.python_version()}, numpy {version('numpy')}.", ""]
    for buckets, hashes in SETTINGS:
        lines += table(buckets, hashes, options.trials)
    lines += [*exact(options.trials), *passages(options.trials), *templates()]
    text = "\n".join(lines)
    print(text)
    if options.write:
        options.write.write_text(f"# Planted duplicates\n\n{text}")


if __name__ == "__main__":
    main()
