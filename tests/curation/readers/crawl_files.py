"""WARC files of whatever records a test needs."""

import io
from pathlib import Path
from typing import Any

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter


def write_records(path: Path, records: list[dict[str, Any]]) -> None:
    """Writes records with these values, of which all but `body` have defaults: type, status, headers, url."""
    opened = io.BytesIO()
    writer = WARCWriter(opened, gzip=True)
    for number, record in enumerate(records):
        kind = record.get("type", "response")
        headers = list({"Content-Type": "text/html", **record.get("headers", {})}.items())
        http = StatusAndHeaders(record.get("status", "200 OK"), headers, protocol="HTTP/1.1")
        writer.write_record(
            writer.create_warc_record(
                record.get("url", f"https://example.com/{number}"),
                kind,
                payload=io.BytesIO(record["body"]),
                http_headers=http if kind == "response" else None,
                warc_content_type="text/plain" if kind == "conversion" else "",
            )
        )
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(opened.getvalue())
