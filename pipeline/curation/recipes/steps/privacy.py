"""Steps that replace personal data and credentials in a text."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from pipeline.curation.recipes.steps.base import Scope, Step

Action = Literal["replace", "remove_document", "off"]
"""Put another text in its place, reject the whole document, or do not look for it."""


@dataclass(frozen=True, kw_only=True)
class Redaction:
    """What happens to one kind of personal data."""

    replacement: str
    """Text put in its place. One that no finder matches, such as a reserved value, makes the step idempotent."""
    action: Action = "replace"
    """Replace it, reject the document, or do not look."""


@dataclass(frozen=True, kw_only=True)
class Pii(Step):
    """Replaces e-mail addresses, public IP addresses, telephone numbers and payment card numbers.

    The replacements are values that nobody can have, so that a model learns well-formed text.
    """

    scope: ClassVar[Scope] = "document"
    implementation: ClassVar[str] = "pii:pii_filter"
    step: Literal["pii"]
    email: Redaction = Redaction(replacement="email@example.com")
    """RFC 2606 reserves the domain (FineWeb uses the same replacement)."""
    ipv4: Redaction = Redaction(replacement="192.0.2.1")
    """RFC 5737: an address for documentation. Only addresses that are routed globally are looked for."""
    ipv6: Redaction = Redaction(replacement="2001:db8::1")
    """RFC 3849: an address for documentation."""
    phone: Redaction = Redaction(replacement="555-0100")
    """The North American numbers 555-0100 to 555-0199 are set aside for fiction."""
    card: Redaction = Redaction(replacement="0000 0000 0000 0000")
    """No issuer has the prefix 0 (ISO/IEC 7812)."""
    phone_regions: tuple[str, ...] = ("US",)
    """ISO 3166 codes of countries whose numbers are found without `+` and country code."""

    def __post_init__(self) -> None:
        for region in self.phone_regions:
            if len(region) != 2 or not (region.isascii() and region.isupper()):
                raise ValueError(f"phone_regions names {region!r}, set ISO 3166 codes such as US")


@dataclass(frozen=True, kw_only=True)
class Secrets(Step):
    """Replaces keys, tokens and passwords in code and configuration."""

    scope: ClassVar[Scope] = "document"
    implementation: ClassVar[str] = "credentials:secrets_filter"
    step: Literal["secrets"]
    formats: Action = "replace"
    """What happens to secrets of a known format: keys of providers, private key blocks, JSON web tokens."""
    assignments: Action = "replace"
    """What happens to random values assigned to names such as `api_key`, and to passwords in addresses."""
    minimum_entropy: Annotated[float, Field(ge=0, le=8)] = 3.5
    """Bits per character from which an assigned value counts as random. It lies between detect-secrets' limits for
    hexadecimal (3.0) and base64 (4.5); twenty random hexadecimal digits have 3.5 on average."""
    replacement: str = "<KEY>"
    """Text put in place of a secret (StarCoder, arXiv 2305.06161)."""
