"""Decodes the bytes of web pages, whose encoding is often declared wrongly or not at all."""

import re

from resiliparse.parse.encoding import bytes_to_str, detect_encoding

CHARSET = re.compile(r"charset=[\"']?([\w.:-]{1,40})", re.IGNORECASE)


def declared_charset(content_type: str) -> str | None:
    """The encoding that the value of an HTTP header `Content-Type` names, or None."""
    found = CHARSET.search(content_type)
    return found.group(1) if found else None


def decode_page(content: bytes, declared: str | None = None) -> str:
    """Decodes a page as UTF-8 if it is valid, else as the server declared, else as resiliparse detects.

    UTF-8 goes first because a server that declares another encoding for valid UTF-8 is nearly always wrong. Detection
    looks at the page's meta tag and at the bytes; bytes that the detected encoding lacks become U+FFFD.

    Args:
        content: the bytes of the page.
        declared: the encoding that the server named, if any. An unknown one is ignored.
    """
    for encoding in ("utf-8", declared):
        try:
            if encoding:
                return content.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return bytes_to_str(content, detect_encoding(content) or "utf-8", errors="replace")
