"""Stops a stage if so much of what it read is damaged that the rest is not to be trusted."""

from pathlib import Path

from pipeline.core.errors import DataError
from pipeline.core.files import read_json
from pipeline.curation.config import CurateConfig
from pipeline.curation.readers import readers
from pipeline.curation.readers.bad_records import FILE_REASONS
from pipeline.curation.recipes.recipe import Recipe

MAX_NAMED = 3
"""Bad records that the error names."""
REMEDIES = {"other_encoding": "set the source's encoding to theirs, such as cp1252"}
"""By reason, what to do where that is known; otherwise the records have to be corrected."""


def check_bad_share(recipe: Recipe, audit_logs: list[Path], config: CurateConfig) -> None:
    """Compares what the tasks that read a domain put into quarantine with what they read.

    Args:
        recipe: of the domain.
        audit_logs: files of those tasks' logs.
        config: its `maximum_bad_share` of records and `maximum_bad_files`, the share of files.

    Raises:
        DataError: for more bad records, or more bad files, than the configuration allows.
    """
    counted = [read_json(path) for path in audit_logs]
    records = sum(each["counts"]["read"]["in"] for each in counted)
    bad = sorted((row for each in counted for row in each["quarantined"]), key=lambda row: (row["file"], row["offset"]))
    files = sum(len(readers.list_items(source)) for source in recipe.sources)
    bad_files = {row["file"] for row in bad if row["reason"] in FILE_REASONS}
    named = ", ".join(f"{row['file']} at {row['unit']} {row['offset']}: {row['reason']}" for row in bad[:MAX_NAMED])
    if len(bad) > config.maximum_bad_share * records:
        remedy = next((REMEDIES[row["reason"]] for row in bad if row["reason"] in REMEDIES), "correct them")
        raise DataError(
            f"{recipe.domain}: {len(bad):,} of {records:,} records are no documents ({named}); {remedy}, or set "
            f"stages.curate.config.maximum_bad_share above {len(bad) / records:.4g}"
        )
    if len(bad_files) > config.maximum_bad_files * files:
        raise DataError(
            f"{recipe.domain}: {len(bad_files):,} of {files:,} files cannot be read to their end ({named}); fetch them "
            f"again, or set stages.curate.config.maximum_bad_files above {len(bad_files) / files:.4g}"
        )
