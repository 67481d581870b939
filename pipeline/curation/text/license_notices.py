"""Finds licenses by the words that their notices have."""

from collections.abc import Iterator

from pipeline.curation.text.normalized_words import normalized_words

NOTICES = (
    ("AGPL-3.0-only", "gnu affero general public license"),
    ("LGPL-2.1-or-later", "gnu lesser general public license"),
    ("LGPL-2.1-or-later", "gnu library general public license"),
    ("GPL-2.0-or-later", "gnu general public license"),
    ("MPL-2.0", "mozilla public license"),
    ("EPL-2.0", "eclipse public license"),
    ("CDDL-1.0", "common development and distribution license"),
    ("Apache-2.0", "licensed under the apache license version 2 0"),
    ("Apache-2.0", "apache license version 2 0"),
    ("MIT", "permission is hereby granted free of charge to any person obtaining a copy"),
    ("MIT", "licensed under the mit license"),
    ("MIT", "released under the mit license"),
    ("BSD-3-Clause", "redistribution and use in source and binary forms with or without modification are permitted"),
    ("BSD-3-Clause", "use of this source code is governed by a bsd style license"),
    ("ISC", "permission to use copy modify and or distribute this software for any purpose with or without fee"),
    ("ISC", "permission to use copy modify and distribute this software for any purpose with or without fee"),
    ("BSL-1.0", "boost software license version 1 0"),
    ("Unlicense", "this is free and unencumbered software released into the public domain"),
    ("PSF-2.0", "licensed to psf under a contributor agreement"),
    ("CC0-1.0", "creative commons cc0 1 0"),
    ("proprietary", "all rights reserved unauthorized copying"),
    ("proprietary", "proprietary and confidential"),
)
"""SPDX identifiers and a phrase from the notice that the license asks for, as normalized words. For a family of
licenses it is the usual one of them.

The clauses of a BSD license come after these words, so two and three clauses are not told apart: both are permissive.
"""


def noticed_licenses(text: str) -> Iterator[str]:
    """The SPDX identifiers of the licenses whose notices a text has, in the order of `NOTICES`."""
    words = f" {' '.join(normalized_words(text)[0])} "
    for identifier, notice in NOTICES:
        if f" {notice} " in words:
            yield identifier
