"""Personal data: what is found, what only looks like it, and that no text makes the search slow or fail."""

import pytest
from datatrove.data import Document
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.config import build
from pipeline.core.errors import ConfigError
from pipeline.curation.filters import filter_of
from pipeline.curation.filters.pii import cards, emails, has_issuer, has_valid_check_digit, ipv4, ipv6, phones
from pipeline.curation.recipes.steps.privacy import Pii
from tests.clock import assert_linear_time

FINDERS = {"email": emails, "ipv4": ipv4, "ipv6": ipv6, "card": cards, "phone": phones}
PII = Pii(step="pii")
ALIKE = "0123456789abcdef@.:+-()/ \n" + "é٣"
"""Letters that personal data is made of."""


def found(kind: str, text: str) -> list[str]:
    return [text[start:end] for start, end in FINDERS[kind](text)]


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("email", "write to jane.doe+news@mail.uni-bonn.de.", ["jane.doe+news@mail.uni-bonn.de"]),
        ("email", "<a_b@c.org>, (x@y.co.uk)", ["a_b@c.org", "x@y.co.uk"]),
        ("email", "mailto:me@site.io?subject=x", ["me@site.io"]),
        ("email", "y = x@self.weight", []),
        ("email", "y = x@layer.data(0)", []),
        ("email", "user@example.com, a@b.test, root@localhost, pip install name@1.2.3", []),
        ("email", "@pytest.fixture and jane@", []),
        ("ipv4", "from 93.184.216.34:80 to 17.253.144.10", ["93.184.216.34", "17.253.144.10"]),
        ("ipv4", "10.1.2.3 127.0.0.1 192.168.1.10 169.254.0.1 192.0.2.44 224.0.0.251 255.255.255.255", []),
        ("ipv4", "version 12.10.14.33, v4.18.15.16, Version: 10.0.19041.1, numpy==11.22.33.44", []),
        ("ipv4", 'release = "52.12.14.16"', []),
        ("ipv4", "see section 13.12.11.10 and 1.3.6.1.4.1.311 and 12.34.56.789", []),
        ("ipv4", "Chrome/91.0.4472.124 ObjectIdentifier('2.5.29.46') 1.2.3.4", []),
        ("ipv4", "01.102.103.104", []),
        ("ipv6", "at 2606:4700:4700::1111 and", ["2606:4700:4700::1111"]),
        ("ipv6", "[2a00:1450:4001:81b::200e]:443", ["2a00:1450:4001:81b::200e"]),
        ("ipv6", "::1 fe80::1 2001:db8::1 fd00:1:2::3 a[2000::2] std::face::dead 12:30:45 00:1a:2b:3c:4d:5e", []),
        ("phone", "call +1 650-253-0000 today", ["+1 650-253-0000"]),
        ("phone", "Tel: +49 89 20802725, Fax", ["+49 89 20802725"]),
        ("phone", "+41 (0)52 525 00 25 1234 5678", ["+41 (0)52 525 00 25"]),
        ("phone", "(650) 253-0000 or 650.253.0000", ["(650) 253-0000", "650.253.0000"]),
        ("phone", "1-650-253-0000", ["1-650-253-0000"]),
        ("phone", "6502530000 16502530000 id=650-253-00001 2026-11-24 12:00 206.766 9877", []),
        ("phone", "review 15, p. 318-334 (1973) Decimal('+35236450.6') x += 6502530000", []),
        ("phone", "650-253-0000-17 and 1.650-253-0000 and 555-0100", []),
        ("card", "4111 1111 1111 1111", ["4111 1111 1111 1111"]),
        ("card", "5500-0000-0000-0004", ["5500-0000-0000-0004"]),
        ("card", "3782 822463 10005", ["3782 822463 10005"]),
        ("card", "Visa card: 4012888888881881", ["4012888888881881"]),
        ("card", "order 4012888888881881, 0.4012888888881881", []),
        ("card", "4111 1111 1111 1112 and 9111 1111 1111 1111", []),
        ("card", "4111-1111 1111-1111 and 41 11 11 11 11 11 11 11 and 0000 0000 0000 0000", []),
        ("card", "1 4111 1111 1111 1111 and 4111 1111 1111 1111 2", []),
    ],
)  # fmt: skip
def test_golden(kind: str, text: str, expected: list[str]) -> None:
    assert found(kind, text) == expected


@pytest.mark.parametrize(
    ("digits", "valid"),
    [
        # Numbers that issuers and processors publish for tests.
        ("4242424242424242", True), ("4222222222222", True), ("5555555555554444", True), ("2223003122003222", True),
        ("378282246310005", True), ("6011111111111117", True), ("30569309025904", True), ("3566002020360505", True),
        ("6200000000000005", True), ("42424242424242", False), ("1234567812345670", False), ("5655555555555559", False),
    ],
)  # fmt: skip
def test_issuers_and_check_digits(digits: str, valid: bool) -> None:
    assert (has_issuer(digits) and has_valid_check_digit(digits)) is valid
    # Luhn's digit finds every single wrong digit.
    for place in range(len(digits)):
        if has_valid_check_digit(digits):
            wrong = digits[:place] + str((int(digits[place]) + 1) % 10) + digits[place + 1 :]
            assert not has_valid_check_digit(wrong)


def document(text: str) -> Document:
    return Document(text=text, id="0", metadata={"origin": "test"})


TEXT = "Ask jane@site.org or +1 650-253-0000, host 93.184.216.34, card 4111 1111 1111 1111."


def test_replacements_are_counted_and_nothing_is_left() -> None:
    it = document(TEXT)
    result = filter_of(PII)(it)
    assert result.removal is None
    assert result.counts == {"email": 1, "phone": 1, "ipv4": 1, "card": 1}
    assert it.text == "Ask email@example.com or 555-0100, host 192.0.2.1, card 0000 0000 0000 0000."
    assert not result.matches


def test_each_kind_has_its_action() -> None:
    step = build(Pii, {"step": "pii", "email": {"action": "remove_document", "replacement": ""}}, "steps[0]")
    it = document(TEXT)
    result = filter_of(step)(it)
    assert result.removal is not None
    assert (result.removal.reason, result.removal.value) == ("pii_email", 1)
    off = {kind: {"action": "off", "replacement": ""} for kind in FINDERS}
    assert filter_of(build(Pii, {"step": "pii", **off}, "steps[0]"))(it).counts == {}
    assert it.text == TEXT
    with pytest.raises(ConfigError, match="phone_regions names 'usa'"):
        build(Pii, {"step": "pii", "phone_regions": ["usa"]}, "steps[0]")


@given(st.text(ALIKE, max_size=80) | st.text(max_size=40) | st.from_regex(r"\A\+?[\d ().@:-]{5,40}\Z"))
def test_total_and_idempotent(text: str) -> None:
    for find in FINDERS.values():
        behind = 0
        for start, end in find(text):
            assert behind <= start < end <= len(text)
            behind = end
    it = document(text)
    document_filter = filter_of(PII)
    document_filter(it)
    once = it.text
    for kind in ("email", "ipv6", "card"):
        assert found(kind, once) == []


HOSTILE = ["a" * 10**6, "a@" * 500_000, "a." * 500_000, "1" * 10**6, "1 " * 500_000, "1." * 500_000,
           "1.1.1.1" * 140_000, ":" * 10**6, "2001:" * 200_000, "+1 " * 330_000, "+" * 10**6, "(650) " * 160_000,
           "4111 " * 200_000,
           "650-253-0000 " * 70_000, "a@a.a." * 160_000, "é@" * 500_000, "(12)" * 250_000]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:8]))
def test_hostile_text_takes_linear_time(text: str) -> None:
    # Area codes in brackets take longest, 1.5 s: each is looked up.
    assert_linear_time(lambda part: filter_of(PII)(document(part)), text, cpu_seconds=30)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("volejte 602 345 678 dnes", ["602 345 678"]),
        ("Tel. 602 345 678, 602 345 679", ["602 345 678", "602 345 679"]),
        ("call us 602 345 678\npeople", ["602 345 678"]),
        ("602 345 678 euros", []),
        ("cuesta 602 345 678 € en total", []),
        ("602.345.678€ o 602\u00a0345\u00a0678\u00a0EUR", []),
        ("EUR 602 345 678, US$ 602 345 678, £ 602 345 678", []),
        ("602 345 678 obyvatel, 602 345 678 millones, 912 345 678 habitantes", []),
        # No number is grouped so.
        ("+420 602 345 678 euros", ["+420 602 345 678"]),
    ],
)
def test_a_number_that_counts_something_is_no_telephone(text: str, found: list[str]) -> None:
    assert [text[start:end] for start, end in phones(text, ("CZ", "ES", "PT"))] == found
