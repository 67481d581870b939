"""The text of a page's bytes."""

import re

from resiliparse.parse.encoding import bytes_to_str, detect_encoding

CHARSET = re.compile(r"charset=[\"']?([\w.:-]{1,40})", re.IGNORECASE)


def declared_charset(content_type: str) -> str | None:
    """The encoding that an HTTP header names."""
    found = CHARSET.search(content_type)
    return found.group(1) if found else None


def decode_page(content: bytes, declared: str | None = None) -> str:
    """The text of a page: as UTF-8 if it is that, else as declared, else as its meta tag says or as it looks.

    Servers that declare another encoding than UTF-8 for bytes that are valid UTF-8 are wrong nearly always. Bytes that
    the encoding does not have become U+FFFD.
    """
    for encoding in ("utf-8", declared):
        try:
            if encoding:
                return content.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    return bytes_to_str(content, detect_encoding(content) or "utf-8", errors="replace")
