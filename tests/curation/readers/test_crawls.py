"""Archives of crawls as servers filled them: encodings, compressed bodies, errors, texts instead of pages."""

import gzip
from pathlib import Path
from typing import Any

import pyarrow
import pytest
import zstandard

from pipeline.curation.text.charsets import decode_page
from pipeline.curation.text.documents import read_folder, read_rows
from tests.curation.conftest import Curate
from tests.curation.readers.crawl_files import write_records
from tests.curation.recipe_files import DISCLOSURE, recipe, write_recipe

BROTLI = pyarrow.Codec("brotli").compress
PROSE = "The cat of house number {number} sat by the door with a bone that it would not give to anyone. " * 4


def page(number: int, more: str = "") -> str:
    return f"<html><body><article><p>{PROSE.format(number=number)}</p>{more}</article></body></html>"


def curated(tmp_path: Path, run_curate: Curate, **source: Any) -> tuple[dict[str, str], dict[str, str], set[str]]:
    """What a curation kept, text by address; reasons by origin of what it removed, and those for the quarantine."""
    steps = [{"step": "resiliparse"}] if source["kind"] == "warc" else []
    sources = [{"path": str(tmp_path / "in"), "disclosure": DISCLOSURE, **source}]
    write_recipe(tmp_path / "recipes", recipe(tmp_path, [*steps, {"step": "exact_dedup"}], sources=sources))
    output, _ = run_curate(tmp_path / "recipes", bad=1.0)
    kept = {each.metadata["url"][-1]: each.text for each in read_folder(output / "documents" / "technical")}
    removed = {row["origin"][-1]: row["reason"] for row in read_rows(output / "removed/technical/00000.jsonl.gz")}
    put_aside = output / "quarantine" / "technical" / "00000.jsonl.gz"
    return kept, removed, {row["reason"] for row in read_rows(put_aside)} if put_aside.exists() else set()


def test_bodies_as_servers_send_them(tmp_path: Path, run_curate: Curate) -> None:
    records: list[dict[str, Any]] = [
        {"body": page(0).replace("cat", "c\0at").encode()},
        {"body": BROTLI(page(1).encode(), asbytes=True), "headers": {"Content-Encoding": "br"}},
        {"body": zstandard.compress(page(2).encode()), "headers": {"Content-Encoding": "zstd"}},
        {"body": gzip.compress(page(3).encode()), "headers": {"Content-Encoding": "gzip"}},
        # Said to be compressed, but stored as it was unpacked.
        {"body": page(4).encode(), "headers": {"Content-Encoding": "zstd"}},
        {"body": page(5).encode(), "headers": {"Content-Encoding": "br"}},
        {"body": zstandard.compress(page(6).encode())[:-9], "headers": {"Content-Encoding": "zstd"}},
        {
            "body": b"%x\r\n%b\r\n0\r\n\r\n" % (len(packed := BROTLI(page(7).encode(), asbytes=True)), packed),
            "headers": {"Content-Encoding": "br", "Transfer-Encoding": "chunked"},
        },
        {
            "body": BROTLI(gzip.compress(page(8).encode()), asbytes=True),
            "headers": {"Content-Encoding": "gzip, br"},
        },
        {"body": gzip.compress(page(9).encode()), "headers": {"Content-Encoding": "x-gzip, identity"}},
        # Number 10, which goes by its last digit: nothing takes this coding off.
        {"body": BROTLI(page(10).encode(), asbytes=True), "headers": {"Content-Encoding": "br, compress"}},
    ]
    write_records(tmp_path / "in" / "a.warc.gz", records)
    kept, removed, bad = curated(tmp_path, run_curate, kind="warc")
    assert sorted(kept) == ["0", "1", "2", "3", "4", "5", "7", "8", "9"]
    for number, text in kept.items():
        assert PROSE.format(number=number).strip() in text
    assert removed == {"6": "damaged_record", "0": "damaged_record"}
    assert bad == {"damaged_record"}


def test_answers_that_are_no_page(tmp_path: Path, run_curate: Curate) -> None:
    records: list[dict[str, Any]] = [
        {"body": page(number).encode(), "status": status}
        for number, status in enumerate(["404 Not Found", "301 Moved Permanently", "503 Busy", "200 OK", "200"])
    ]
    records += [
        {"body": b"\x89PNG\0\0\xff" * 50, "headers": {"Content-Type": "image/png"}},
        {"body": page(6).encode(), "type": "conversion"},
    ]
    write_records(tmp_path / "in" / "a.warc.gz", records)
    kept, removed, bad = curated(tmp_path, run_curate, kind="warc")
    assert sorted(kept) == ["3", "4"]
    assert removed == {
        "0": "http_status", "1": "http_status", "2": "http_status", "5": "not_html", "6": "wet_record",
    }  # fmt: skip
    assert bad == set()


def test_a_response_of_no_address_costs_itself_alone(tmp_path: Path, run_curate: Curate) -> None:
    """WARC asks for WARC-Target-URI; what other programs write may lack it."""
    records: list[dict[str, Any]] = [{"body": page(number).encode()} for number in range(3)]
    write_records(tmp_path / "in" / "a.warc.gz", [records[0], {**records[1], "url": None}, records[2]])
    (tmp_path / "in" / "b.warc").write_bytes(gzip.decompress((tmp_path / "in" / "a.warc.gz").read_bytes()))
    kept, _, bad = curated(tmp_path, run_curate, kind="warc")
    assert sorted(kept) == ["0", "2"]
    assert bad == {"damaged_record"}


def test_the_texts_of_wet_files(tmp_path: Path, run_curate: Curate) -> None:
    records: list[dict[str, Any]] = [
        {"body": PROSE.format(number=number).encode(), "type": "conversion"} for number in range(3)
    ]
    write_records(tmp_path / "in" / "a.warc.wet.gz", [*records, {"body": page(3).encode()}])
    kept, removed, bad = curated(tmp_path, run_curate, kind="wet")
    assert kept == {str(number): PROSE.format(number=number) for number in range(3)}
    assert (removed, bad) == ({}, set())


JAPANESE = "①日本語の文章。～髙島屋"
CHINESE = "中文的文章，镕基"
ENGLISH = "“Quoted” – it’s 5 €"


@pytest.mark.parametrize(
    ("content", "declared", "text"),
    [
        ("à la carte".encode("cp1252"), "undefined", "à la carte"),
        ("à la carte".encode("cp1252"), "unicode_escape", "à la carte"),
        (ENGLISH.encode("cp1252"), "iso-8859-1", ENGLISH),
        (ENGLISH.encode("cp1252"), "us-ascii", ENGLISH),
        (CHINESE.encode("gbk"), "gb2312", CHINESE),
        # Too little to detect what it is.
        ("and 镕".encode("gbk"), "gb2312", "and 镕"),
        ((CHINESE + "㐂").encode("gb18030"), "gbk", CHINESE + "㐂"),
        (JAPANESE.encode("cp932"), "Shift_JIS", JAPANESE),
        (JAPANESE.encode("cp932"), "x-sjis", JAPANESE),
        ("日本語の文章".encode("euc_jp"), "euc-jp", "日本語の文章"),
        ("日本語の文章".encode("iso2022_jp"), "iso-2022-jp", "日本語の文章"),
        (
            '<meta charset="iso-2022-jp">日本語の文章'.encode("iso2022_jp"),
            None,
            '<meta charset="iso-2022-jp">日本語の文章',
        ),
        (b"\x1b$B-!8l\x1b(B and", "iso-2022-jp", "\ufffd語 and"),
        ("é is UTF-8".encode(), "iso-2022-jp", "é is UTF-8"),
        ("똠방각하".encode("cp949"), "ks_c_5601-1987", "똠방각하"),
        ("㗎 香港".encode("big5hkscs"), "big5", "㗎 香港"),
        ("ข้อความ…".encode("cp874"), "tis-620", "ข้อความ…"),
        (b"\xef\xbb\xbf" + "é".encode(), "iso-8859-1", "é"),
        (b"\xff\xfe" + "é and more".encode("utf-16-le"), None, "é and more"),
        (b"\xfe\xff" + "é and more".encode("utf-16-be"), "utf-8", "é and more"),
        ("plain".encode("utf-16-le"), "utf-16", "plain"),
        ("plain".encode("utf-16-be"), "utf-16be", "plain"),
        ("é is UTF-8".encode(), "iso-8859-1", "é is UTF-8"),
        (b"a\0b", None, "ab"),
    ],
)
def test_labels_mean_what_they_mean_to_a_browser(content: bytes, declared: str | None, text: str) -> None:
    assert decode_page(content, declared) == text


def test_one_byte_that_an_encoding_lacks_costs_one_character() -> None:
    text = '<meta charset="shift_jis">' + "日本語の文章です。" * 20
    damaged = text.encode("cp932") + b"\x85\xff" + "終わり".encode("cp932")
    decoded = decode_page(damaged)
    assert decoded.startswith(text)
    assert decoded.endswith("終わり")
    assert "\ufffd" in decoded
