"""What earlier runs kept, as an index of documents to compare with: their own artifacts, which never change."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from pipeline.core.arrays import write_array
from pipeline.core.errors import DataError
from pipeline.core.files import read_json, sha256_of, write_json
from pipeline.curation.dedup.near_duplicates import sign
from pipeline.curation.dedup.repeats import write_runs
from pipeline.curation.dedup.substrings import UNCUT
from pipeline.curation.dedup.units import units_of
from pipeline.curation.recipes.steps.duplicates import MinHash, SubstringDedup
from pipeline.curation.text.documents import read_documents, read_folder

ID_BYTES = 32
SETTINGS = ("n_grams", "buckets", "hashes_per_bucket", "language")
"""Of MinHash: those that signatures depend on."""
RUN_SETTINGS = ("unit", "minimum_units", "buckets")
"""Of the step against copies: those that runs depend on, besides the tokenizer."""


def save_index(output: Path, domain: str, minhash: MinHash | None, substrings: SubstringDedup | None) -> None:
    """Writes what later runs compare with: ids of a domain's documents, signatures and runs if the steps say so."""
    ids: set[bytes] = set()
    for document in read_folder(output / "documents" / domain):
        # A later run meets the text as it was before something was taken out of it.
        ids |= {bytes.fromhex(each) for each in (str(document.id), document.metadata.get(UNCUT, "")) if each}
    write_array(output / "ids" / f"{domain}.npy", numpy.array(sorted(ids), f"V{ID_BYTES}"))
    if minhash is not None and minhash.save_signatures:
        sign(read_folder(output / "documents" / domain), minhash, output / "signatures" / f"{domain}.npy")
        write_json(output / "signatures" / f"{domain}.json", _settings(minhash))
    if substrings is not None and substrings.save_runs:
        _save_runs(output, domain, substrings)


def _save_runs(output: Path, domain: str, step: SubstringDedup) -> None:
    divide, count = units_of(step), 0
    for shard, path in enumerate(_files(output, domain)):
        texts = [(count + number, divide(document.text)) for number, document in enumerate(read_documents(path))]
        write_runs(texts, step.minimum_units, step.buckets, output / "runs" / domain, shard)
        count += len(texts)
    write_json(output / "runs" / f"{domain}.json", {"documents": count, "settings": _settings(step)})


def _files(folder: Path, domain: str) -> tuple[Path, ...]:
    return tuple(sorted((folder / "documents" / domain).glob("*.jsonl.gz")))


class KnownIds:
    """Whether a document's id is among those of earlier runs. Memory: the files are mapped.

    Raises:
        DataError: for a run whose ids are missing or cut short.
    """

    def __init__(self, folders: Sequence[str], domain: str) -> None:
        made = [Path(folder) for folder in folders if (Path(folder) / "documents" / domain).is_dir()]
        self._arrays = [_ids(folder / "ids" / f"{domain}.npy") for folder in made]

    def __contains__(self, identity: str) -> bool:
        wanted = bytes.fromhex(identity)
        for array in self._arrays:
            low, high = 0, len(array)
            while low < high:
                middle = (low + high) // 2
                if bytes(array[middle]) < wanted:
                    low = middle + 1
                else:
                    high = middle
            if low < len(array) and bytes(array[low]) == wanted:
                return True
        return False


def _ids(path: Path) -> numpy.ndarray:
    try:
        return numpy.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: ids cannot be read ({error}), make that run again") from None


@dataclass(frozen=True)
class Signed:
    """The signatures of one earlier run, and the files with the documents they are of, in the same order."""

    signatures: Path
    documents: tuple[Path, ...]


def previous_signatures(step: MinHash, domain: str) -> list[Signed]:
    """Of every run that a step names and that has documents of the domain.

    Raises:
        DataError: for a run without signatures, or with signatures of other settings.
    """
    found = []
    for folder in map(Path, step.against):
        if files := _files(folder, domain):
            path = folder / "signatures" / f"{domain}.npy"
            if _saved(path.with_suffix(".json"), folder, "save_signatures", "minhash") != _settings(step):
                raise DataError(f"{path}: signatures of other settings; set those of its .json in minhash")
            found.append(Signed(path, files))
    return found


@dataclass(frozen=True)
class Divided:
    """The runs of units of one earlier run, divided by hash, and the files with its documents."""

    runs: Path
    """Folder with a folder for each bucket."""
    documents: tuple[Path, ...]
    count: int
    """Documents in them."""

    def bucket(self, number: int) -> list[Path]:
        """The files of one bucket."""
        return sorted((self.runs / f"{number:03d}").glob("*.npy"))


def previous_runs(step: SubstringDedup, domain: str) -> list[Divided]:
    """Of every run that a step names and that has documents of the domain.

    Raises:
        DataError: for a run without runs of units, or with runs of other settings.
    """
    found = []
    for folder in map(Path, step.against):
        if files := _files(folder, domain):
            path = folder / "runs" / f"{domain}.json"
            saved = _saved(path, folder, "save_runs", "substring_dedup")
            if saved["settings"] != _settings(step):
                raise DataError(f"{path}: runs of other settings, {saved['settings']}; set those in substring_dedup")
            found.append(Divided(path.with_suffix(""), files, saved["documents"]))
    return found


def _saved(path: Path, folder: Path, key: str, step: str) -> dict[str, Any]:
    if not path.exists():
        raise DataError(f"{path}: missing, make {folder} with {key}: true in its recipe's {step}")
    return read_json(path)


def _settings(step: MinHash | SubstringDedup) -> dict[str, Any]:
    names = SETTINGS if isinstance(step, MinHash) else RUN_SETTINGS
    settings = {name: getattr(step, name) for name in names}
    if isinstance(step, SubstringDedup) and step.tokenizer is not None:
        settings["tokenizer"] = sha256_of(Path(step.tokenizer))
    return settings
