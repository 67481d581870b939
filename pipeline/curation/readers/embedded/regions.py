"""Generator of sentences about countries: their languages, currencies and time zones.

The facts are from CLDR (through Babel) and the IANA time zone database (through tzdata).
"""

import datetime
import importlib.resources
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache

from babel import Locale, numbers
from babel.languages import get_official_languages

from pipeline.curation.readers.embedded import EmbeddedText
from pipeline.curation.readers.embedded.locales import two_letter_codes
from pipeline.curation.readers.sources import EmbeddedSource

CURRENCY_DATE = datetime.date(2024, 1, 1)
"""The day whose currencies are named. Without one Babel takes today, and texts would change."""


def list_items(source: EmbeddedSource) -> list[str]:
    """ISO 3166 codes of countries and territories."""
    return two_letter_codes(Locale.parse("en").territories)[: source.limit]


def read(source: EmbeddedSource, items: list[str]) -> Iterator[EmbeddedText]:
    """Yields a text of a few sentences for each country."""
    english = Locale.parse("en")
    zones = _zones()
    for code in items:
        country = english.territories[code]
        sentences = [f"{country} has the country code {code}."]
        languages = [english.languages.get(each) for each in get_official_languages(code)]
        if known := [each for each in languages if each]:
            plural = len(known) > 1
            sentences.append(
                f"The official language{'s' * plural} of {country} {'are' if plural else 'is'} {_and(known)}."
            )
        for currency in numbers.get_territory_currencies(code, start_date=CURRENCY_DATE):
            name = numbers.get_currency_name(currency, locale="en")
            symbol = numbers.get_currency_symbol(currency, locale="en")
            price = numbers.format_currency(1234.5, currency, locale="en")
            sentences.append(f"In {country} one pays in {name}, with the code {currency} and the symbol {symbol}.")
            sentences.append(f"A price in this currency is written {price}.")
        if code in zones:
            plural = len(zones[code]) > 1
            listed = _and(zones[code])
            sentences.append(f"The time zone{'s' * plural} of {country} {'are' if plural else 'is'} {listed}.")
        yield EmbeddedText(origin=f"regions/{code}", text=f"{country}\n\n{' '.join(sentences)}")


def _and(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


@lru_cache
def _zones() -> dict[str, list[str]]:
    """The names of the time zones of each country."""
    table = importlib.resources.files("tzdata") / "zoneinfo" / "zone1970.tab"
    found: dict[str, list[str]] = defaultdict(list)
    for line in table.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            codes, _, zone = line.split("\t")[:3]
            for code in codes.split(","):
                found[code].append(zone)
    return found
