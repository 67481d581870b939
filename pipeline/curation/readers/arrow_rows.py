"""Makes documents of the rows of Arrow tables, as Parquet files and datasets of the hub give them."""

from typing import Any

import orjson
import pyarrow

from pipeline.curation.readers.bad_records import ReadDocument, RecordLocation, bad_record
from pipeline.curation.readers.columns import row_document
from pipeline.curation.readers.sources import Columns


def arrow_document(
    table: pyarrow.RecordBatch | pyarrow.Table, columns: Columns, location: RecordLocation
) -> ReadDocument:
    """The document of a table's only row, or the bad record that stands for it."""
    names = table.schema.names
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        return bad_record(location, "repeated_column", ", ".join(repeated))
    try:
        values = table.to_pylist()[0]
    except UnicodeDecodeError as error:
        return bad_record(location, "invalid_utf8", error.object)
    except (ArithmeticError, LookupError, ValueError) as error:
        # Python has no date after the year 9999, no such duration, or no such time zone.
        return bad_record(location, "value_out_of_range", f"{error}; {table.schema}")
    for field in table.schema:
        values[field.name] = _parsed(values[field.name], field.type)
    return row_document(values, columns, location)


def _parsed(value: Any, kind: pyarrow.DataType) -> Any:
    """A value in which JSON that Arrow keeps as text is parsed: columns whose rows differ in type are stored so."""
    if value is None:
        return None
    if isinstance(kind, pyarrow.JsonType):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    if pyarrow.types.is_struct(kind):
        return {field.name: _parsed(value[field.name], field.type) for field in kind}
    if pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind):
        return [_parsed(each, kind.value_type) for each in value]
    return value
