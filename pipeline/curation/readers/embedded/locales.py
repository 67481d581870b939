"""Generator of text in twelve languages, from CLDR (through Babel) and spaCy's example sentences.

A document is a list of lines in one language: dates, durations, amounts, lists and names as CLDR words them, and one
example sentence.
"""

import ast
import datetime
import random
from collections.abc import Iterable, Iterator
from functools import lru_cache

from babel import Locale, dates, lists, numbers
from babel import units as babel_units

from pipeline.curation.readers.embedded import EmbeddedText
from pipeline.curation.readers.embedded.packages import package_folder, read_source
from pipeline.curation.readers.sources import EmbeddedSource

LANGUAGES = ("ar", "cs", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pt", "zh")
"""ISO 639-1 codes of the languages that Granite models are trained on."""
DEFAULT_ITEMS = 600
LINES_PER_DOCUMENT = 14
MEASURES = (
    "length-kilometer", "length-meter", "mass-kilogram", "duration-hour", "duration-day", "volume-liter",
    "temperature-celsius", "speed-kilometer-per-hour", "area-hectare", "digital-megabyte",
)  # fmt: skip


def list_items(source: EmbeddedSource) -> list[str]:
    """Names of documents, `<language>/<number>`, the languages taking turns."""
    languages = source.languages or LANGUAGES
    count = source.limit or DEFAULT_ITEMS
    return [f"{languages[index % len(languages)]}/{index:06d}" for index in range(count)]


def read(source: EmbeddedSource, items: list[str]) -> Iterator[EmbeddedText]:
    """Yields a text for each item, drawn from the item's name and the source's seed."""
    for name in items:
        language = name.partition("/")[0]
        draw = random.Random(f"{source.seed}/{name}")
        lines = [_sentence(draw, Locale.parse(language)) for _ in range(LINES_PER_DOCUMENT)]
        lines[draw.randrange(len(lines))] = draw.choice(_examples(language))
        yield EmbeddedText(origin=f"locales/{name}", text="\n".join(lines))


@lru_cache
def _examples(language: str) -> tuple[str, ...]:
    """spaCy's example sentences of a language. They are parsed: importing the language would build its tokenizer."""
    folder = package_folder("spacy")
    assert folder is not None
    tree = ast.parse(read_source(folder / "lang" / language / "examples.py"))
    assignments = [node for node in tree.body if isinstance(node, ast.Assign)]
    return tuple(ast.literal_eval(assignments[-1].value))


def two_letter_codes(names: Iterable[object]) -> list[str]:
    """The two-letter codes among Babel's codes of countries or languages, in alphabetical order."""
    return sorted(code for code in map(str, names) if len(code) == 2 and code.isalpha())


def _sentence(draw: random.Random, locale: Locale) -> str:
    territories = two_letter_codes(locale.territories)
    day = datetime.date(2000, 1, 1) + datetime.timedelta(days=draw.randrange(10_000))
    match draw.randrange(6):
        case 0:
            return dates.format_date(day, "full", locale=locale)
        case 1:
            chosen = [locale.territories[code] for code in draw.sample(territories, 3)]
            return lists.format_list(chosen, locale=locale)
        case 2:
            span = datetime.timedelta(seconds=draw.choice([1, -1]) * draw.randrange(60, 10**8))
            return dates.format_timedelta(span, add_direction=True, locale=locale, format="long")
        case 3:
            code = draw.choice(sorted(locale.currencies))
            amount = numbers.format_currency(draw.randrange(1, 1000), code, locale=locale, format_type="name")
            return f"{locale.currencies[code]}: {amount}"
        case 4:
            chosen = [
                babel_units.format_unit(draw.randrange(1, 100), name, locale=locale, length="long")
                for name in draw.sample(MEASURES, 2)
            ]
            return lists.format_list(chosen, locale=locale, style="or")
        case _:
            codes = draw.sample(two_letter_codes(locale.languages), 3)
            return lists.format_list([locale.languages[code] for code in codes], locale=locale, style="or")
