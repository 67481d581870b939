"""The filter on personal data: patterns find candidates, and validators confirm them.

Every repetition in a pattern is bounded and begins where the one before cannot go on, so that matching takes linear
time on any text. Precision comes from the validators and from the words before a candidate: a version number is no
address.
"""

import ipaddress
import re
from collections.abc import Iterator
from functools import lru_cache, partial

import phonenumbers
from tldextract import TLDExtract

from pipeline.curation.filters.filter_step import DocumentFilter
from pipeline.curation.filters.redaction import SensitiveKind, redaction_filter
from pipeline.curation.recipes.steps.privacy import Pii
from pipeline.curation.text.normalized_words import Span

_EMAIL = re.compile(
    # RFC 5321, 4.5.3.1: 64 characters before the sign; RFC 1035, 2.3.4: 63 in a label. The look-behind lets a long
    # run of characters be tried once only.
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9_%+-][A-Za-z0-9._%+-]{0,63}@"
    r"((?:[A-Za-z0-9][A-Za-z0-9-]{0,62}\.){1,8}[A-Za-z]{2,24})(?![A-Za-z0-9_(@-]|\.[A-Za-z0-9_])"
)
_RESERVED = re.compile(r"(?:^|\.)(?:example\.(?:com|net|org)|example|test|invalid|localhost)$", re.IGNORECASE)
"""Domain names that are reserved and belong to nobody (RFC 2606 and 6761)."""
_IPV4 = re.compile(r"(?<![\w.+-])\d{1,3}(?:\.\d{1,3}){3}(?![\w+]|[.-]\w)")
_IPV6 = re.compile(r"(?<![\w:.])[23][0-9A-Fa-f]{3}(?::[0-9A-Fa-f]{0,4}){3,7}(?![\w:]|\.\d)")
"""Global unicast addresses begin with 2 or 3 (IANA: 2000::/3). Three colons: `a[2000::2]` is a slice."""
_NOT_AN_ADDRESS = re.compile(
    r"(?:identifier|\b(?:v|ver|version|versions|versioned|release|released|build|firmware|driver|section|chapter|clause|figure|"
    r"fig|table|rule|oid|since|python|chrome|safari|firefox|edge|opera)\w{0,3}|[=~<>!]=|§|\w/)[\s\"'`:=(#]{0,4}$",
    re.IGNORECASE,
)
"""Words before numbers with dots that are versions of software or numbers of sections, not addresses."""
_INTERNATIONAL_PHONE = re.compile(r"(?<![\w+.*/^=-])\+[1-9](?:[ .\-/()\u00a0]{0,3}\d){6,14}(?![\w.]\d|\w)")
"""A number with country code: at most 15 digits after the sign (ITU-T E.164)."""
_NATIONAL_PHONE = re.compile(
    r"(?<![\w+.*/^$#,-])(?<!\d[ (])"
    r"(?:\(\d{2,5}\)|\d{1,5})(?:[ .\-/\u00a0]{1,2}(?:\(\d{2,5}\)|\d{2,5})){1,4}(?![\w/]|[.,:-]\d|[ ]\d)"
)
_THOUSANDS = re.compile(r"\d{1,3}(?:[ .\u00a0]\d{3})+")
"""Groups of a large number, which are those of some countries' telephone numbers too."""
_UNIT_AFTER = re.compile(
    r"[ \u00a0\u202f]?(?:[€$£¥₩₹₽%°]|(?:eur|euros?|usd|us-?dollars?|dollars?|dólar(?:es)?|dollari|dolarů|gbp|pounds?|"
    r"libras|livres|pfund|yen|jpy|yuan|cny|rmb|won|krw|pesos?|francs?|franken|chf|kč|czk|korun|reais|brl|dirhams?|aed|cents?|"
    r"mil|millions?|mill?ones|millionen|milhões|milioni|miljoen|people|inhabitants|residents|habitant[es]?s|personas|"
    r"pessoas|personnes|persone|abitanti|einwohner|menschen|personen|inwoners|mensen|obyvatel|users?|vot[eo]s?|voix|"
    r"stimmen|shares|acciones|actions|aktien|units|bytes|tokens|words|km²?|m²|kg|ton(?:ne[ns]?|s|eladas)?|"
    r"hectares|hectáreas)(?!\w))",
    re.IGNORECASE,
)
"""What is counted by large numbers, in the languages whose telephone numbers are in groups of three."""
_UNIT_BEFORE = re.compile(
    r"(?:[$€£¥₩₹₽]|(?<!\w)(?:eur|usd|gbp|jpy|cny|krw|chf|czk|brl|aed))[ \u00a0\u202f]?$", re.IGNORECASE
)
_CARD = re.compile(r"(?<![\w.+/-])(?<!\d[ ,])\d(?:[ -]?\d){12,18}(?![\w/]|[.,-]\d|[ ]\d)")
_CARD_WORD = re.compile(r"\b(?:card|visa|master ?card|amex|american express|discover|jcb|cc|pan|credit|debit)", re.I)
_CARD_GROUPS = ((4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4, 4, 3))
"""As printed on cards of 16, 15 (American Express), 14 (Diners Club) and 19 digits."""
CONTEXT_CHARACTERS = 24
"""Characters before a candidate, in its line, in which a word says what it is."""
CARD_CONTEXT_CHARACTERS = 60
ISSUERS: tuple[tuple[range, tuple[int, ...]], ...] = (
    (range(400000, 500000), (13, 16, 19)),  # Visa
    (range(510000, 560000), (16,)),  # Mastercard
    (range(222100, 272100), (16,)),  # Mastercard, since 2017
    (range(340000, 350000), (15,)),  # American Express
    (range(370000, 380000), (15,)),
    (range(601100, 601200), tuple(range(16, 20))),  # Discover
    (range(644000, 660000), tuple(range(16, 20))),
    (range(620000, 630000), tuple(range(16, 20))),  # UnionPay
    (range(352800, 359000), tuple(range(16, 20))),  # JCB
    (range(300000, 306000), tuple(range(14, 20))),  # Diners Club
    (range(309500, 309600), tuple(range(14, 20))),
    (range(360000, 370000), tuple(range(14, 20))),
    (range(380000, 400000), tuple(range(14, 20))),
)
"""First six digits and lengths by issuer (ISO/IEC 7812; ranges as the issuers publish them)."""


def pii_filter(step: Pii) -> DocumentFilter:
    """Replaces personal data, or rejects documents that hold some, as the step says for each kind."""
    phone = partial(phones, regions=step.phone_regions)
    finders = (("email", emails), ("ipv4", ipv4), ("ipv6", ipv6), ("card", cards), ("phone", phone))
    return redaction_filter("pii", [SensitiveKind(kind, find, getattr(step, kind)) for kind, find in finders])


@lru_cache
def _top_level_domains() -> frozenset[str]:
    # The list inside the package: nothing is fetched from the network or cached on disk.
    extract = TLDExtract(suffix_list_urls=(), cache_dir=None)
    return frozenset(suffix.rpartition(".")[2] for suffix in extract.tlds)


def emails(text: str) -> Iterator[Span]:
    """Spans of e-mail addresses under an existing top-level domain, except domains reserved for examples."""
    if "@" not in text:
        return
    for match in _EMAIL.finditer(text):
        domain = match.group(1)
        if domain.rpartition(".")[2].lower() in _top_level_domains() and not _RESERVED.search(domain):
            yield match.span()


def ipv4(text: str) -> Iterator[Span]:
    """Spans of IPv4 addresses that are routed globally and belong to one machine."""
    return _addresses(text, _IPV4)


def ipv6(text: str) -> Iterator[Span]:
    """Spans of IPv6 addresses that are routed globally and belong to one machine."""
    return _addresses(text, _IPV6) if text.count(":") > 2 else iter(())


def _addresses(text: str, pattern: re.Pattern[str]) -> Iterator[Span]:
    for match in pattern.finditer(text):
        try:
            address = ipaddress.ip_address(match.group())
        except ValueError:
            continue
        # 1.2.3.4 or 8.8.8.8: placeholders, public resolvers and versions, hardly ever somebody's address.
        small = address.version == 4 and max(address.packed) < 10
        if address.is_global and not address.is_multicast and not small and not _is_version(text, match):
            yield match.span()


def _is_version(text: str, match: re.Match[str]) -> bool:
    return _NOT_AN_ADDRESS.search(_line_before(text, match)) is not None


def _line_before(text: str, match: re.Match[str], characters: int = CONTEXT_CHARACTERS) -> str:
    start = max(0, match.start() - characters)
    return text[start : match.start()].rpartition("\n")[2]


def phones(text: str, regions: tuple[str, ...] = ("US",)) -> Iterator[Span]:
    """Spans of valid telephone numbers.

    They have a country code, or are of one of the regions (ISO 3166) and grouped as that country writes them. The
    matcher of `phonenumbers` is not used: it is slow on long runs of digits, and accepts numbers without any grouping.
    """
    found: list[Span] = []
    if "+" in text:
        found += _international(text)
    for region in regions:
        found += [
            match.span()
            for match in _NATIONAL_PHONE.finditer(text)
            if _is_grouped_as_national(match.group(), region) and not _is_amount(text, match)
        ]
    # A number with a country code is not found a second time without it.
    behind = 0
    for start, end in sorted(found):
        if start >= behind:
            yield start, end
            behind = end


def _is_amount(text: str, match: re.Match[str]) -> bool:
    """Whether a candidate is a number in groups of three with what it counts behind it, or its currency before."""
    if not _THOUSANDS.fullmatch(match.group()):
        return False
    return bool(_UNIT_AFTER.match(text, match.end()) or _UNIT_BEFORE.search(_line_before(text, match)))


def _international(text: str) -> Iterator[Span]:
    for match in _INTERNATIONAL_PHONE.finditer(text):
        # +12.5 is a decimal number: one point and nothing else between its digits.
        candidate = "" if re.fullmatch(r"\+\d+\.\d+", match.group()) else match.group()
        # Digits behind a number may look like a part of it: groups are dropped from the end until it is valid.
        while candidate and _parse_valid(candidate, None) is None:
            candidate = re.sub(r"[^\d]{0,3}\d+$", "", candidate)
        if candidate:
            yield match.start(), match.start() + len(candidate)


def _parse_valid(candidate: str, region: str | None) -> phonenumbers.PhoneNumber | None:
    try:
        number = phonenumbers.parse(candidate, region)
    except phonenumbers.NumberParseException:
        return None
    return number if phonenumbers.is_valid_number(number) else None


def _is_grouped_as_national(candidate: str, region: str) -> bool:
    groups = re.findall(r"\d+", candidate)
    # One kind of separator throughout, except beside brackets: 206.766 9877 is a measurement.
    separators = set(re.findall(r"(?<=\d)[^\d()]+(?=\d)", candidate))
    if not 7 <= sum(map(len, groups)) <= 15 or len(groups) < 2 or len(separators) > 1:
        return False
    number = _parse_valid(candidate, region)
    if number is None:
        return False
    # An opening bracket stands before the area code, which comes first or after the country's code.
    before, bracket, _ = candidate.partition("(")
    if bracket and before.strip(" -.") not in ("", str(number.country_code)):
        return False
    national = re.findall(r"\d+", phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.NATIONAL))
    code = str(number.country_code)
    return groups in (national, [code, *national])


def cards(text: str) -> Iterator[Span]:
    """Spans of payment card numbers: an issuer's prefix and length, and a valid check digit.

    They must also be grouped as on a card or follow a word for one, since every tenth identifier of 16 digits has a
    valid check digit by chance.
    """
    for match in _CARD.finditer(text):
        groups = re.split("[ -]", match.group())
        digits = "".join(groups)
        grouped = tuple(map(len, groups)) in _CARD_GROUPS and len(set(re.sub(r"\d", "", match.group()))) == 1
        named = len(groups) == 1 and _CARD_WORD.search(_line_before(text, match, CARD_CONTEXT_CHARACTERS))
        if (grouped or named) and has_issuer(digits) and has_valid_check_digit(digits):
            yield match.span()


def has_issuer(digits: str) -> bool:
    """Whether some card issuer uses numbers with this beginning and length."""
    prefix = int(digits[:6])
    return any(prefix in prefixes and len(digits) in lengths for prefixes, lengths in ISSUERS)


def has_valid_check_digit(digits: str) -> bool:
    """Whether the last digit is the Luhn check digit of the others (ISO/IEC 7812-1, annex B)."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0
