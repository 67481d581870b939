"""The ids of documents, and the hashes of ids that decide a document's place and split. Imports nothing heavy."""

import hashlib
import re

DOCUMENT_ID = re.compile("[0-9a-f]{64}")
"""A document's id: SHA-256 of its content in hexadecimal, so that a document has the same one wherever it is stored."""


def keyed_hash64(purpose: str, text: str) -> int:
    """The 64-bit BLAKE2b hash of a text, keyed by a purpose of up to 16 bytes.

    Hashes for different purposes are independent: which documents are held out says nothing about their order.
    """
    digest = hashlib.blake2b(text.encode(), digest_size=8, person=purpose.encode())
    return int.from_bytes(digest.digest(), "big")
