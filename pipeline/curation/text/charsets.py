"""Decodes the bytes of web pages, whose encoding is often declared wrongly or not at all."""

import codecs
import re

from resiliparse.parse.encoding import detect_encoding, map_encoding_to_html5

CHARSET = re.compile(r"charset=[\"']?([\w.:-]{1,40})", re.IGNORECASE)
BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
WIDER = {"shift_jis": "cp932", "gbk": "gb18030", "big5": "big5hkscs", "euc_kr": "cp949", "iso8859-11": "cp874"}
"""Python's codecs that have the characters of the WHATWG encodings, for those that lack some."""
ISO_2022_JP = "iso2022_jp"
NOT_TOLD_FROM_UTF8 = (ISO_2022_JP, "utf-16-le", "utf-16-be")
"""Encodings whose text can be valid UTF-8 as well: a declaration decides."""
ESCAPE = b"\x1b$"
"""How Japanese characters begin in ISO-2022-JP."""


def declared_charset(content_type: str) -> str | None:
    """The encoding that the value of an HTTP header `Content-Type` names, or None."""
    found = CHARSET.search(content_type)
    return found.group(1) if found else None


def decode_page(content: bytes, declared: str | None = None) -> str:
    """Decodes a page by its byte order mark, else as UTF-8 if it is valid, else as declared, else as detected.

    UTF-8 goes first because a server that declares another encoding for valid UTF-8 is nearly always wrong. Labels mean
    what they mean to a browser (https://encoding.spec.whatwg.org/#names-and-labels): iso-8859-1 is windows-1252.
    Detection looks at the page's meta tag and at the bytes; bytes that the detected encoding lacks become U+FFFD. NUL
    is left out, as browsers do.

    Args:
        content: the bytes of the page.
        declared: the encoding that the server named, if any. One that no browser knows is ignored.
    """
    return _decode(content, declared).replace("\0", "")


def _decode(content: bytes, declared: str | None) -> str:
    for mark, encoding in BYTE_ORDER_MARKS:
        if content.startswith(mark):
            return content.removeprefix(mark).decode(encoding, "replace")
    encoding = _codec(map_encoding_to_html5(declared, fallback_utf8=False)) if declared else None
    if encoding is None and ESCAPE in content:
        encoding = _codec(detect_encoding(content))
    if encoding == ISO_2022_JP and ESCAPE in content:
        # Characters that the codec lacks, such as NEC's, make no UTF-8 of it: all of its bytes are ASCII.
        return content.decode(encoding, "replace")
    order = (encoding, "utf-8") if encoding in NOT_TOLD_FROM_UTF8 else ("utf-8", encoding)
    for each in filter(None, order):
        try:
            return content.decode(each)
        except UnicodeDecodeError:
            continue
    return content.decode(_codec(detect_encoding(content)) or "utf-8", "replace")


def _codec(encoding: str | None) -> str | None:
    return WIDER.get(encoding, encoding) if encoding else None
