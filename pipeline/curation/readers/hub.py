"""Reads datasets of the Hugging Face hub, streamed through the library `datasets`."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow

from pipeline.core.errors import DataError
from pipeline.core.hub import dataset_trouble
from pipeline.curation.readers.arrow_rows import arrow_document
from pipeline.curation.readers.bad_records import ReadDocument, RecordLocation, bad_record, read_error_reason
from pipeline.curation.readers.sources import HuggingFaceSource

DATASET_KEY = "dataset"
"""Metadata key of the dataset's name, unless a column has this name."""
BATCH_ROWS = 256


def read_part(source: HuggingFaceSource, part: int) -> Iterator[ReadDocument]:
    """Gives the document or bad record of each row of one of `source.shards` parts.

    A part is every n-th file, or every n-th row if the dataset is a single file. Each file is read by its own columns.
    What `datasets` cannot read ends its file with a bad record.

    Raises:
        DataError: for a dataset, subset, split or revision that cannot be opened, or a network that fails.
    """
    name, number = f"{source.dataset}#{part}", 0
    for file in _files(source, part):
        # The formats that a dataset may have raise whatever the libraries below them do, which no list has whole.
        try:
            for row in _rows(file):
                if source.limit is not None and number >= source.limit:
                    return
                document = arrow_document(row, source, RecordLocation(name, number, "record"))
                document.metadata.setdefault(DATASET_KEY, source.dataset)
                yield document
                number += 1
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            yield bad_record(RecordLocation(name, number, "record"), read_error_reason(error, name), message)
            number += 1


def _rows(file: Any) -> Iterator[pyarrow.Table]:
    for table in file.with_format("arrow").iter(BATCH_ROWS):
        for row in range(len(table)):
            yield table.slice(row, 1)


def _files(source: HuggingFaceSource, part: int) -> list[Any]:
    """What a part consists of, as datasets."""
    from datasets import ArrowBasedBuilder, load_dataset_builder
    from datasets.distributed import split_dataset_by_node

    options: Mapping[str, Any] = {"name": source.subset, "data_dir": source.folder, "revision": source.revision}
    options = {key: value for key, value in options.items() if value is not None}
    try:
        builder = load_dataset_builder(source.dataset, **options)
        dataset: Any = builder.as_streaming_dataset(source.split)
    except Exception as error:
        # A missing dataset or file, a network that does not answer, a split that is not there: each its own class.
        trouble = dataset_trouble(error, source.dataset, source.revision)
        raise DataError(
            f"dataset={source.dataset}: cannot be opened: {trouble}; or set dataset, subset, folder, split and "
            "revision to what the hub has"
        ) from None
    if isinstance(builder, ArrowBasedBuilder):
        # The columns of the first file, to which `datasets` would cast all others and fail where they differ.
        builder.info.features = dataset.info.features = None
    if dataset.num_shards == 1:
        return [split_dataset_by_node(dataset, rank=part, world_size=source.shards)]
    chosen = range(part, dataset.num_shards, source.shards)
    return [dataset.shard(num_shards=dataset.num_shards, index=index) for index in chosen]
