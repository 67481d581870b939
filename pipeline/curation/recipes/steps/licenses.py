"""The step that keeps documents whose licence allows to train on them."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pipeline.curation.recipes.steps.scope import Scope

PERMISSIVE = (
    "0BSD", "AFL-3.0", "Apache-1.1", "Apache-2.0", "Artistic-2.0", "BSD-1-Clause", "BSD-2-Clause",
    "BSD-2-Clause-Patent", "BSD-3-Clause", "BSD-3-Clause-Clear", "BSL-1.0", "CC-BY-3.0", "CC-BY-4.0", "CC0-1.0",
    "CNRI-Python", "curl", "ECL-2.0", "FTL", "HPND", "ICU", "ISC", "libpng-2.0", "MIT", "MIT-0",
    "MulanPSL-2.0", "NCSA", "OpenSSL", "PHP-3.01", "PostgreSQL", "PSF-2.0", "Python-2.0", "TCL", "Unicode-3.0",
    "Unlicense", "UPL-1.0", "Vim", "W3C", "WTFPL", "X11", "Zlib", "ZPL-2.1",
)  # fmt: skip
"""SPDX identifiers without copyleft: common ones of the Blue Oak Council's list of permissive licences, the list of
The Stack v2 (arXiv 2402.19173), and Creative Commons' licences that ask for attribution at most."""


@dataclass(frozen=True, kw_only=True)
class Licenses:
    """Keeps documents under licences of a list: everything that is said of a document's licence must be allowed.

    The policy of The Stack (arXiv 2211.15533) and Granite Code (arXiv 2405.04324): permissive licences only.
    """

    scope: ClassVar[Scope] = "document"
    step: Literal["licences"]
    allow: tuple[str, ...] = PERMISSIVE
    """SPDX identifiers, in any case."""
    metadata_keys: tuple[str, ...] = ("license", "licence", "licenses", "detected_licenses", "max_stars_repo_licenses")
    """Metadata with an SPDX expression or a list of them; the last two are those of The Stack."""
    header_characters: int = 5_000
    """The text's beginning, in which an SPDX line and known licence headers are looked for; 0 does not look."""
    keep_unknown: bool = False
    """Whether a document stays of whose licence nothing is said (The Stack: no)."""

    def __post_init__(self) -> None:
        if not self.allow:
            raise ValueError("allow is empty, set SPDX identifiers")
        if self.header_characters < 0:
            raise ValueError(f"header_characters is {self.header_characters}, set 0 or more")
