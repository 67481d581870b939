"""Text in twelve languages: dates, durations, amounts, lists and names as CLDR words them, through Babel,
and the example sentences of spaCy's languages."""

import ast
import datetime
import random
from collections.abc import Iterator
from functools import lru_cache

from babel import Locale, dates, lists, numbers
from babel import units as measures

from pipeline.curation.readers.embedded.packages import folder_of, text_of, two_letters
from pipeline.curation.readers.embedded.text import EmbeddedText
from pipeline.curation.readers.sources import EmbeddedSource

LANGUAGES = ("ar", "cs", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pt", "zh")
"""The languages of Granite."""
DEFAULT_UNITS = 600
SENTENCES_PER_DOCUMENT = 14
MEASURES = (
    "length-kilometer", "length-meter", "mass-kilogram", "duration-hour", "duration-day", "volume-liter",
    "temperature-celsius", "speed-kilometer-per-hour", "area-hectare", "digital-megabyte",
)  # fmt: skip


def units(source: EmbeddedSource) -> list[str]:
    """Names of documents: a language and a number."""
    languages = source.languages or LANGUAGES
    count = source.limit or DEFAULT_UNITS
    return [f"{languages[index % len(languages)]}/{index:06d}" for index in range(count)]


def read(source: EmbeddedSource, names: list[str]) -> Iterator[EmbeddedText]:
    """One text per name, in its language."""
    for name in names:
        language = name.partition("/")[0]
        draw = random.Random(f"{source.seed}/{name}")
        lines = [_sentence(draw, Locale.parse(language)) for _ in range(SENTENCES_PER_DOCUMENT)]
        lines[draw.randrange(len(lines))] = draw.choice(_examples(language))
        yield EmbeddedText(origin=f"locales/{name}", text="\n".join(lines))


@lru_cache
def _examples(language: str) -> tuple[str, ...]:
    """spaCy's example sentences. Read, not imported: importing a language builds its tokenizer."""
    folder = folder_of("spacy")
    assert folder is not None
    tree = ast.parse(text_of(folder / "lang" / language / "examples.py"))
    assignments = [node for node in tree.body if isinstance(node, ast.Assign)]
    return tuple(ast.literal_eval(assignments[-1].value))


def _sentence(draw: random.Random, locale: Locale) -> str:
    territories = two_letters(locale.territories)
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
                measures.format_unit(draw.randrange(1, 100), name, locale=locale, length="long")
                for name in draw.sample(MEASURES, 2)
            ]
            return lists.format_list(chosen, locale=locale, style="or")
        case _:
            codes = draw.sample(two_letters(locale.languages), 3)
            return lists.format_list([locale.languages[code] for code in codes], locale=locale, style="or")
