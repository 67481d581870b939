"""Steps that take personal data and credentials out of text."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from pipeline.curation.recipes.steps.scope import Scope

Action = Literal["replace", "remove_document", "off"]
"""Put another text in its place, refuse the whole document, or do not look."""


@dataclass(frozen=True, kw_only=True)
class Redaction:
    """What happens to one kind of personal data."""

    replacement: str
    """Text put in its place. One that is not found again, such as a reserved value, makes the step idempotent."""
    action: Action = "replace"


@dataclass(frozen=True, kw_only=True)
class Pii:
    """E-mail addresses, public IP addresses, telephone numbers and numbers of payment cards.

    Replacements are values that no one can have, so that a model learns well-formed text.
    """

    scope: ClassVar[Scope] = "document"
    step: Literal["pii"]
    email: Redaction = Redaction(replacement="email@example.com")
    """RFC 2606 reserves the domain (FineWeb uses the same replacement)."""
    ipv4: Redaction = Redaction(replacement="192.0.2.1")
    """RFC 5737: for documentation. Only addresses that are routed globally are looked for."""
    ipv6: Redaction = Redaction(replacement="2001:db8::1")
    """RFC 3849: for documentation."""
    phone: Redaction = Redaction(replacement="555-0100")
    """North American numbers 555-0100 to 555-0199 are set aside for fiction."""
    card: Redaction = Redaction(replacement="0000 0000 0000 0000")
    """No issuer has the prefix 0 (ISO/IEC 7812)."""
    phone_regions: tuple[str, ...] = ("US",)
    """ISO 3166 codes of countries whose numbers are found without a `+` and country code."""

    def __post_init__(self) -> None:
        for region in self.phone_regions:
            if len(region) != 2 or not (region.isascii() and region.isupper()):
                raise ValueError(f"phone_regions names {region!r}, set ISO 3166 codes such as US")


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """Keys, tokens and passwords in code and configuration."""

    scope: ClassVar[Scope] = "document"
    step: Literal["secrets"]
    formats: Action = "replace"
    """What happens to keys of a known format: those of providers, private key blocks, JSON web tokens."""
    assignments: Action = "replace"
    """What happens to random values assigned to names such as `api_key` and passwords in addresses."""
    minimum_entropy: float = 3.5
    """Bits per character from which an assigned value is random; between the limits of detect-secrets for
    hexadecimal (3.0) and base64 (4.5). Twenty random hexadecimal digits have 3.5 on average."""
    replacement: str = "<KEY>"
    """Text put in its place (StarCoder, arXiv 2305.06161)."""

    def __post_init__(self) -> None:
        if not 0 <= self.minimum_entropy <= 8:
            raise ValueError(f"minimum_entropy is {self.minimum_entropy}, set 0 to 8 bits per character")
