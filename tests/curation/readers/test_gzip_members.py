"""Gzip files of many members are read on after a damaged one."""

import gzip
import io
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.curation.readers.bad_records import RecordLocation
from pipeline.curation.readers.embedded import EmbeddedText
from pipeline.curation.readers.gzip_members import GzipMembers, TruncatedFileError
from pipeline.curation.readers.warc import WarcPages, write_warc

MEMBERS = st.lists(st.binary(max_size=200_000), max_size=6)


@given(members=MEMBERS, padding=st.integers(0, 3), size=st.integers(1, 100_000))
def test_content_is_that_of_all_members(members: list[bytes], padding: int, size: int) -> None:
    file = io.BytesIO(b"".join(gzip.compress(member) + b"\0" * padding for member in members))
    stream = GzipMembers(file, b"")
    read = b"".join(iter(lambda: stream.read(size) or b"", b""))
    assert read == b"".join(members)


def test_a_file_that_ends_inside_a_member() -> None:
    stream = GzipMembers(io.BytesIO(gzip.compress(b"whole") + gzip.compress(b"not whole")[:-3]), b"")
    with pytest.raises(TruncatedFileError):
        stream.readall()


def test_damage_is_skipped_up_to_a_member_that_begins_as_all_do() -> None:
    members = [gzip.compress(b"WARC/" + bytes([65 + number]) * 1000) for number in range(3)]
    # What looks like a member and is none, and one of something else.
    between = b"\x1f\x8b\x08 no member" + gzip.compress(b"other")
    damaged = members[0] + b"damage" + between + members[1] + members[2]
    stream = GzipMembers(io.BytesIO(damaged), b"WARC/")
    assert stream.read(5000) == b"WARC/" + b"A" * 1000
    with pytest.raises(zlib.error):
        stream.read(1)
    assert stream.skip_damage()
    assert stream.readall() == b"WARC/" + b"B" * 1000 + b"WARC/" + b"C" * 1000
    assert not stream.skip_damage()


@pytest.mark.parametrize("damage", ["overwritten", "cut"])
def test_damage_in_an_archive_costs_the_record_that_it_lies_in(tmp_path: Path, damage: str) -> None:
    pages = [EmbeddedText(f"page-{number}", f"<html>{number} {'text ' * 500 * number}</html>") for number in range(6)]
    parts = []
    for page in pages:
        write_warc(tmp_path / "one.warc.gz", [page])
        parts.append((tmp_path / "one.warc.gz").read_bytes())
    half = len(parts[3]) // 2
    parts[3] = parts[3][:half] + (b"" if damage == "cut" else b"\xff" * 20 + parts[3][half + 20 :])
    (tmp_path / "all.warc.gz").write_bytes(b"".join(parts))
    good, bad = [], []
    for document in WarcPages(str(tmp_path), -1, 10**6).read_file("all.warc.gz"):
        if document.bad is None:
            good.append(document.text)
        else:
            bad.append((document.location, document.bad))
    assert bad == [(RecordLocation("all.warc.gz", 3, "record"), "damaged_record")]
    assert good == [page.text for page in pages[:3] + pages[4:]]
