"""What earlier runs kept, as an index of documents to compare with: their own artifacts, which never change."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy

from pipeline.curation.arrays import write_array
from pipeline.curation.documents import read_folder
from pipeline.curation.near_duplicates import sign
from pipeline.curation.recipe_steps import MinHash
from pipeline.curation.substrings import UNCUT
from pipeline.errors import DataError
from pipeline.files import read_json, write_json

ID_BYTES = 32
SETTINGS = ("n_grams", "buckets", "hashes_per_bucket", "language")
"""Of MinHash: those that signatures depend on."""


def save_index(output: Path, domain: str, step: MinHash | None) -> None:
    """Writes what later runs compare with: ids of a domain's documents, and signatures if the step says so."""
    ids: set[bytes] = set()
    for document in read_folder(output / "documents" / domain):
        # A later run meets the text as it was before something was taken out of it.
        ids |= {bytes.fromhex(each) for each in (str(document.id), document.metadata.get(UNCUT, "")) if each}
    write_array(output / "ids" / f"{domain}.npy", numpy.array(sorted(ids), f"V{ID_BYTES}"))
    if step is not None and step.save_signatures:
        sign(read_folder(output / "documents" / domain), step, output / "signatures" / f"{domain}.npy")
        write_json(output / "signatures" / f"{domain}.json", _settings(step))


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
class Earlier:
    """The signatures of one earlier run, and the files with the documents they are of, in the same order."""

    signatures: Path
    documents: tuple[Path, ...]


def earlier_signatures(step: MinHash, domain: str) -> list[Earlier]:
    """Of every run that a step names and that has documents of the domain.

    Raises:
        DataError: for a run without signatures, or with signatures of other settings.
    """
    found = []
    for folder in map(Path, step.against):
        files = tuple(sorted((folder / "documents" / domain).glob("*.jsonl.gz")))
        path = folder / "signatures" / f"{domain}.npy"
        if not files:
            continue
        if not path.exists():
            raise DataError(f"{path}: missing, make {folder} with save_signatures: true in its recipe's minhash")
        saved = read_json(path.with_suffix(".json"))
        if saved != _settings(step):
            raise DataError(f"{path}: signatures of other settings, {saved}; set those in minhash")
        found.append(Earlier(path, files))
    return found


def _settings(step: MinHash) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(step).items() if name in SETTINGS}
