"""What previous runs of the pipeline kept, as indexes to compare with: their own artifacts, which never change.

A run that may be named in `against` leaves, beside its documents, their ids (always), their MinHash signatures
(`save_signatures`) and the hashes of their n-grams (`save_runs`). `save_index` writes them; the rest reads them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from pipeline.core.arrays import write_array
from pipeline.core.artifact import read_manifest
from pipeline.core.documents import document_files
from pipeline.core.errors import DataError
from pipeline.core.files import read_json, sha256_of, write_json
from pipeline.curation.dedup.minhash import write_signatures
from pipeline.curation.dedup.repeated_ngrams import write_ngrams
from pipeline.curation.dedup.substrings import UNCUT_ID
from pipeline.curation.dedup.text_units import unit_splitter
from pipeline.curation.recipes.steps.duplicates import MinHash, SubstringDedup
from pipeline.curation.text.documents import read_documents, read_folder

ID_BYTES = 32
"""Of a document's id, SHA-256."""
SIGNATURE_SETTINGS = ("n_grams", "buckets", "hashes_per_bucket", "language")
"""Settings of `minhash` that signatures depend on."""
NGRAM_SETTINGS = ("unit", "minimum_units", "buckets")
"""Settings of `substring_dedup` that hashes of n-grams depend on, besides the tokenizer."""


def save_index(output: Path, domain: str, minhash: MinHash | None, substring_dedup: SubstringDedup | None) -> None:
    """Writes what later runs compare with: `ids/`, and `signatures/` and `runs/` if the recipe's steps say so.

    Args:
        output: folder of the stage's artifact, where the domain's documents already are.
        domain: name of the domain.
        minhash: the recipe's step of this name, if it has one.
        substring_dedup: likewise.
    """
    ids: set[bytes] = set()
    for document in read_folder(output / "documents" / domain):
        # A later run meets the text as it was before something was taken out of it.
        ids |= {bytes.fromhex(each) for each in (str(document.id), document.metadata.get(UNCUT_ID, "")) if each}
    write_array(output / "ids" / f"{domain}.npy", numpy.array(sorted(ids), f"V{ID_BYTES}"))
    if minhash is not None and minhash.save_signatures:
        documents = read_folder(output / "documents" / domain)
        write_signatures(documents, minhash, output / "signatures" / f"{domain}.npy")
        write_json(output / "signatures" / f"{domain}.json", _settings(minhash))
    if substring_dedup is not None and substring_dedup.save_runs:
        _save_ngrams(output, domain, substring_dedup)


def _save_ngrams(output: Path, domain: str, step: SubstringDedup) -> None:
    split, count = unit_splitter(step), 0
    for shard, path in enumerate(document_files(output / "documents" / domain)):
        texts = [(count + number, split(document.text)) for number, document in enumerate(read_documents(path))]
        write_ngrams(texts, step.minimum_units, step.buckets, output / "runs" / domain, shard)
        count += len(texts)
    write_json(output / "runs" / f"{domain}.json", {"documents": count, "settings": _settings(step)})


def _published_files(folder: Path, domain: str) -> tuple[Path, ...]:
    """The files of a finished run's documents: an index counts these, whatever else lies beside them."""
    manifest = read_manifest(folder)
    names = manifest.files if manifest is not None else {}
    return tuple(folder / name for name in sorted(names) if Path(name).parent == Path("documents", domain))


class PreviousIds:
    """The ids of what previous runs kept in a domain, for `in`. Memory: the files are mapped."""

    def __init__(self, folders: Sequence[str], domain: str) -> None:
        """Maps the ids of those runs that have the domain.

        Args:
            folders: of finished `curate` stages.
            domain: name of the domain.

        Raises:
            DataError: for a run whose ids are missing or cut short.
        """
        with_domain = [Path(folder) for folder in folders if (Path(folder) / "documents" / domain).is_dir()]
        self._arrays = [_map_ids(folder / "ids" / f"{domain}.npy") for folder in with_domain]

    def __contains__(self, document_id: str) -> bool:
        """Whether a run kept a document with this id, found by binary search in its sorted ids."""
        wanted = bytes.fromhex(document_id)
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


def _map_ids(path: Path) -> numpy.ndarray:
    try:
        return numpy.load(path, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: ids cannot be read ({error}), make that run again") from None


@dataclass(frozen=True)
class PreviousSignatures:
    """The MinHash signatures of one previous run, and its documents."""

    signatures: Path
    """File of an array, uint64 (buckets x documents)."""
    documents: tuple[Path, ...]
    """The files with the documents, in the same order."""


def previous_signatures(step: MinHash, domain: str) -> list[PreviousSignatures]:
    """The signatures of every run that a step names in `against` and that has documents of the domain, in that order.

    Raises:
        DataError: for a run without signatures, or with signatures of other settings.
    """
    found = []
    for folder in map(Path, step.against):
        if files := _published_files(folder, domain):
            path = folder / "signatures" / f"{domain}.npy"
            if _saved(path.with_suffix(".json"), folder, "save_signatures", "minhash") != _settings(step):
                raise DataError(f"{path}: signatures of other settings; set those of its .json in minhash")
            found.append(PreviousSignatures(path, files))
    return found


@dataclass(frozen=True)
class PreviousNgrams:
    """The hashes of the n-grams of one previous run, divided by hash into buckets, and its documents."""

    folder: Path
    """Has a folder for each bucket."""
    documents: tuple[Path, ...]
    """The files with the documents, in the order of their indices."""
    count: int
    """Number of the documents."""

    def bucket(self, number: int) -> list[Path]:
        """The files of one bucket, arrays of `NGRAM`."""
        return sorted((self.folder / f"{number:03d}").glob("*.npy"))


def previous_ngrams(step: SubstringDedup, domain: str) -> list[PreviousNgrams]:
    """The n-grams of every run that a step names in `against` and that has documents of the domain, in that order.

    Raises:
        DataError: for a run without n-grams, or with n-grams of other settings.
    """
    found = []
    for folder in map(Path, step.against):
        if files := _published_files(folder, domain):
            path = folder / "runs" / f"{domain}.json"
            saved = _saved(path, folder, "save_runs", "substring_dedup")
            if saved["settings"] != _settings(step):
                raise DataError(f"{path}: n-grams of other settings, {saved['settings']}; set those in substring_dedup")
            found.append(PreviousNgrams(path.with_suffix(""), files, saved["documents"]))
    return found


def _saved(path: Path, folder: Path, key: str, step: str) -> dict[str, Any]:
    if not path.exists():
        raise DataError(f"{path}: missing, make {folder} with {key}: true in its recipe's {step}")
    return read_json(path)


def _settings(step: MinHash | SubstringDedup) -> dict[str, Any]:
    """The settings that an index depends on, as they are written beside it."""
    names = SIGNATURE_SETTINGS if isinstance(step, MinHash) else NGRAM_SETTINGS
    settings = {name: getattr(step, name) for name in names}
    if isinstance(step, SubstringDedup) and step.tokenizer is not None:
        settings["tokenizer"] = sha256_of(Path(step.tokenizer))
    return settings
