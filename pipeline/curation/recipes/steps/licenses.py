"""The step that keeps documents whose license allows training on them."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeInt

from pipeline.curation.recipes.steps.base import Scope, Step

PERMISSIVE = (
    "0BSD", "AFL-3.0", "Apache-1.1", "Apache-2.0", "Artistic-2.0", "BSD-1-Clause", "BSD-2-Clause",
    "BSD-2-Clause-Patent", "BSD-3-Clause", "BSD-3-Clause-Clear", "BSL-1.0", "CC-BY-3.0", "CC-BY-4.0", "CC0-1.0",
    "CNRI-Python", "curl", "ECL-2.0", "FTL", "HPND", "ICU", "ISC", "libpng-2.0", "MIT", "MIT-0",
    "MulanPSL-2.0", "NCSA", "OpenSSL", "PHP-3.01", "PostgreSQL", "PSF-2.0", "Python-2.0", "TCL", "Unicode-3.0",
    "Unlicense", "UPL-1.0", "Vim", "W3C", "WTFPL", "X11", "Zlib", "ZPL-2.1",
)  # fmt: skip
"""SPDX identifiers of licenses without copyleft: common ones of the Blue Oak Council's list of permissive licenses, the
list of The Stack v2 (arXiv 2402.19173), and the Creative Commons licenses that ask for attribution at most."""


@dataclass(frozen=True, kw_only=True)
class Licenses(Step):
    """Keeps documents under licenses of a list: every license that is named for a document must be allowed.

    The policy of The Stack (arXiv 2211.15533) and Granite Code (arXiv 2405.04324): permissive licenses only.
    """

    scope: ClassVar[Scope] = "document"
    implementation: ClassVar[str] = "licenses:license_filter"
    step: Literal["licences"]
    allow: Annotated[tuple[str, ...], Field(min_length=1)] = PERMISSIVE
    """SPDX identifiers, in any case."""
    metadata_keys: tuple[str, ...] = ("license", "licence", "licenses", "detected_licenses", "max_stars_repo_licenses")
    """Metadata keys that hold an SPDX expression or a list of them; the last two are those of The Stack."""
    header_characters: NonNegativeInt = 5_000
    """Characters at the beginning of the text in which SPDX lines and known license notices are looked for; 0 looks in
    the metadata alone."""
    keep_unknown: bool = False
    """Keep documents for which no license is named (The Stack removes them)."""
