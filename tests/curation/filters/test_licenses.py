"""Licenses: which ones are found in a document, and which SPDX expressions a list allows."""

import pytest
from datatrove.data import Document
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.config import build
from pipeline.core.errors import ConfigError
from pipeline.curation.filters import filter_of
from pipeline.curation.filters.licenses import allows
from pipeline.curation.recipes.steps.licenses import Licenses
from tests.clock import assert_linear_time

STEP = Licenses(step="licences")
ALLOWED = frozenset({"mit", "apache-2.0", "gpl-2.0-only"})
MIT = "# Permission is hereby granted, free of charge, to any person\n# obtaining a copy of this software\n"
GPL = "/* This program is free software under the terms of the GNU General\n * Public License */\n"


def reason(text: str, step: Licenses = STEP, **metadata: object) -> str | None:
    document = Document(text=text, id="0", metadata={"origin": "test", **metadata})
    removal = filter_of(step)(document).removal
    return None if removal is None else removal.reason


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True), ("mit", True), ("MIT+", True), ("GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True), ("MIT AND GPL-3.0-only", False), ("MIT AND Apache-2.0", True),
        ("(MIT OR X) AND Apache-2.0", True), ("MIT OR X AND Y", True), ("X AND Y OR MIT", True),
        ("(MIT OR X) AND Y", False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", True), ("X WITH Classpath-exception-2.0", False),
        ("", False), ("OR", False), ("MIT OR", False), ("(MIT", False), ("MIT)", False), ("MIT Apache-2.0", False),
        ("MIT WITH", False), ("(" * 500 + "MIT" + ")" * 500, False), ("AND MIT", False),
    ],
)  # fmt: skip
def test_expressions(expression: str, allowed: bool) -> None:
    assert allows(expression, ALLOWED) is allowed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# SPDX-License-Identifier: MIT\ncode", None),
        ("/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */", None),
        ("<!-- SPDX-License-Identifier: MIT -->", None),
        ("<!--SPDX-License-Identifier: MIT-->", None),
        ("// SPDX-License-Identifier: GPL-2.0-or-later", "licence_GPL-2.0-or-later"),
        ("// SPDX-License-Identifier: LicenseRef-Our-Own", "licence_other"),
        ("# SPDX-License-Identifier: NOASSERTION", "licence_unknown"),
        (MIT, None),
        (GPL, "licence_GPL-2.0-or-later"),
        (MIT + GPL, "licence_GPL-2.0-or-later"),
        ("# SPDX-License-Identifier: MIT\n" + GPL, "licence_GPL-2.0-or-later"),
        ("Licensed under the Apache License, Version 2.0 (the \"License\")", None),
        ("Redistribution and use in source and binary forms, with or without\n// modification, are permitted", None),
        ("This file is part of X; GNU Lesser General Public License", "licence_LGPL-2.1-or-later"),
        ("PROPRIETARY AND CONFIDENTIAL", "licence_proprietary"),
        ("print('no word about it')", "licence_unknown"),
        ("x" * 6_000 + MIT, "licence_unknown"),
    ],
)  # fmt: skip
def test_what_texts_say(text: str, expected: str | None) -> None:
    assert reason(text) == expected


def test_metadata_and_text_must_both_be_allowed() -> None:
    assert reason("code", license="MIT") is None
    assert reason("code", license="Apache 2.0") is None
    assert reason("code", max_stars_repo_licenses=["MIT", "Apache-2.0"]) is None
    assert reason("code", max_stars_repo_licenses=["MIT", "GPL-3.0-only"]) == "licence_other"
    assert reason(GPL, license="MIT") == "licence_GPL-2.0-or-later"
    assert reason("code", license="unknown") == "licence_unknown"
    assert reason("code", license=None, licence=3) == "licence_unknown"


def test_settings() -> None:
    assert reason("code", build(Licenses, {"step": "licences", "keep_unknown": True}, "steps[0]")) is None
    only = build(Licenses, {"step": "licences", "allow": ["Apache-2.0"]}, "steps[0]")
    assert reason(MIT, only) == "licence_MIT"
    with pytest.raises(ConfigError, match="allow is empty"):
        build(Licenses, {"step": "licences", "allow": []}, "steps[0]")


@given(st.text(max_size=60) | st.text("()ANDORWITH MIT", max_size=60))
def test_total(text: str) -> None:
    allows(text, ALLOWED)
    reason("SPDX-License-Identifier: " + text, license=text, licenses=[text])


@pytest.mark.parametrize("text", ["SPDX-License-Identifier:" * 40_000, "(" * 10**6, "MIT " * 250_000, "A-" * 500_000])
def test_hostile_text_takes_linear_time(text: str) -> None:
    assert_linear_time(lambda part: reason(part, license=part), text)
    whole = Licenses(step="licences", header_characters=10**6)
    assert_linear_time(lambda part: reason("SPDX-License-Identifier: " + part, whole), text, cpu_seconds=10)
