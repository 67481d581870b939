"""Planted duplicates: how many are found, and how many of those found are none, beside the curve of theory.

    python benchmarks/duplicates.py --write benchmarks/duplicates.md

For each similarity, pairs of texts of random words of which a part is replaced until the Jaccard similarity of their
5-grams is as near to it as can be. A pair is a candidate if the two have a bucket in common, and a duplicate if their
true similarity reaches the threshold: below it none is called one, so that precision is 1.
"""

import argparse
import platform
import random
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from pipeline.curation.near_duplicates import jaccard
from pipeline.curation.recipe_steps import MinHash
from pipeline.curation.shingles import shingles_of
from pipeline.curation.signatures import Signatures

WORDS = 400
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
    shingles, signatures = shingles_of(step.language, N_GRAMS), Signatures(step)
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
    text = "\n".join(lines)
    print(text)
    if options.write:
        options.write.write_text(f"# Planted duplicates\n\n{text}")


if __name__ == "__main__":
    main()
