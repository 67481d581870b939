"""Trains a classifier of documents from files, to be named in recipes.

    python -m pipeline.curation.quality.train --class hq=curated/ --class cc=pages.jsonl.gz --positive hq \\
        --output classifiers/quality

Of each class the documents with the smallest ids, which are hashes of their content, are taken: a random sample, the
same in whatever order files and lines come. In memory are at most twice as many beginnings of texts as there are
documents to train on.
"""

import argparse
import dataclasses
import gzip
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import orjson

from pipeline.core.config import build
from pipeline.core.errors import EXIT_DONE, EXIT_USER_ERROR, ConfigError, DataError, UserError
from pipeline.curation.quality.model_card import Example
from pipeline.curation.quality.torch_training import train_and_save
from pipeline.curation.recipes.steps.classifiers import ClassifierTraining
from pipeline.curation.text.documents import content_id

SUFFIXES = (".jsonl", ".jsonl.gz")


def texts_of(path: Path) -> Iterator[str]:
    """Yields the texts of JSON lines, plain or gzip, in a file or in all such files of a folder.

    Raises:
        DataError: for what is missing, cut short, or a line that is no object with a text.
    """
    files = sorted(each for each in path.rglob("*") if each.name.endswith(SUFFIXES)) if path.is_dir() else [path]
    if not files:
        raise DataError(f"{path}: no file named {' or '.join(SUFFIXES)}, set another folder")
    for file in files:
        number = 0
        try:
            with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
                for line in lines:
                    number += 1
                    text = orjson.loads(line)["text"]
                    if not isinstance(text, str):
                        raise TypeError("text is no text")
                    yield text
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{file}: cannot be read after line {number}: {error}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{file}:{number}: not a JSON object with a text ({error}), correct the line") from None


def sample(texts: Iterable[str], count: int, characters: int) -> dict[str, str]:
    """Takes a random sample that does not depend on the order of texts: those with the smallest ids.

    Args:
        texts: any number, read once.
        count: how many to take, at most; texts with the same id count once.
        characters: how much of the beginning of each to keep.

    Returns:
        Id to beginning of text, in the order of the ids.
    """
    chosen: dict[str, str] = {}
    border = "g"  # above any hexadecimal digit
    for text in texts:
        document_id = content_id(text)
        if document_id < border:
            begin = text[:characters]
            chosen[document_id] = min(begin, chosen.get(document_id, begin))
        if len(chosen) >= 2 * count:
            chosen = dict(sorted(chosen.items())[:count])
            border = max(chosen)
    return dict(sorted(chosen.items())[:count])


def main(arguments: Sequence[str] | None = None) -> int:
    """Trains as the command line says; returns the exit code, after one line on stderr for what a user must change."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--class", dest="classes", action="append", required=True, metavar="LABEL=PATH")
    parser.add_argument("--positive", required=True, help="the label whose probability the card is about")
    parser.add_argument("--output", required=True, type=Path, help="folder of the classifier")
    for each in dataclasses.fields(ClassifierTraining):
        parser.add_argument(f"--{each.name.replace('_', '-')}", type=type(each.default), default=each.default)
    options = vars(parser.parse_args(arguments))
    try:
        names = [each.name for each in dataclasses.fields(ClassifierTraining)]
        settings = build(ClassifierTraining, {name: options[name] for name in names}, "")
        _train(options["classes"], options["positive"], options["output"], settings)
    except UserError as error:
        print(error, file=sys.stderr)
        return EXIT_USER_ERROR
    return EXIT_DONE


def _train(classes: Sequence[str], positive: str, output: Path, settings: ClassifierTraining) -> None:
    paths = {}
    for each in classes:
        label, separator, path = each.partition("=")
        if not separator or not label or label in paths:
            raise ConfigError(f"--class {each}: give each label once, as LABEL=PATH")
        paths[label] = Path(path)
    if len(paths) < 2 or positive not in paths:
        raise ConfigError(f"--positive {positive}: give --class at least twice, one of them with this label")
    examples = []
    for label, path in paths.items():
        chosen = sample(texts_of(path), settings.training_documents, settings.document_characters)
        if not chosen:
            raise DataError(f"{path}: no document, nothing to learn {label} from")
        examples += [Example(document_id, text, label) for document_id, text in chosen.items()]
    train_and_save(examples, tuple(paths), positive, settings, output)


if __name__ == "__main__":
    sys.exit(main())
