"""The filters decide as datatrove's do, on hostile texts and on real ones."""

import pydoc
import sysconfig
from pathlib import Path

import pytest
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4ParagraphFilter,
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.filters.base_filter import BaseFilter, get_filter_result
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.curation.filters import filter_of
from pipeline.curation.recipes.steps import STEPS

STOCK: dict[str, BaseFilter] = {
    "gopher_repetition": GopherRepetitionFilter(),
    "gopher_quality": GopherQualityFilter(),
    "c4": C4QualityFilter(filter_no_terminal_punct=False),
    "fineweb_quality": FineWebQualityFilter(char_duplicates_ratio=0.1),
    "mc4_paragraphs": C4ParagraphFilter(),
}
FILTERS = {name: filter_of(STEPS[name](step=name)) for name in STOCK}  # type: ignore[call-arg]

WORDS = "the of and cat dog walked 12 # ... … - • Hello. { javascript x's lorem ipsum U.S. , !"
WORD = st.sampled_from(WORDS.split(" "))
LINE = st.lists(WORD | st.text(max_size=5), max_size=12).map(" ".join)
OFTEN = st.sampled_from(["The same line again.", "- item", "", "\t", "Use of cookies is bad."])
TEXT = st.lists(LINE | OFTEN, max_size=30)


def stock(name: str, text: str) -> tuple[bool, str | None, str]:
    """Whether datatrove's filter keeps a text, why not, and the text it leaves."""
    document = Document(text, "0")
    try:
        keep, reason = get_filter_result(STOCK[name].filter(document))
    except (ZeroDivisionError, IndexError, ValueError):
        return False, None, text  # texts without words or lines, which it divides by
    if name == "c4" and keep and not document.text.strip():
        return False, None, text  # it can take every line out and keep the document
    return bool(keep), reason, document.text if keep else text


def ours(name: str, text: str) -> tuple[bool, str | None, str]:
    """The same for this project's filter."""
    document = Document(text, "0")
    result = FILTERS[name](document)
    if result.removal is None:
        return True, None, document.text
    return False, result.removal.reason, text


def assert_alike(name: str, text: str) -> None:
    """Decision, text and, where datatrove gives a reason that comes from a threshold, the reason."""
    theirs, mine = stock(name, text), ours(name, text)
    assert (mine[0], mine[2]) == (theirs[0], theirs[2]), (mine, theirs)
    if theirs[1] is not None and name != "mc4_paragraphs":
        assert mine[1] == theirs[1]


@pytest.mark.parametrize("name", STOCK)
@given(lines=TEXT, separator=st.sampled_from(["\n", "\n\n", " ", "\r\n", "\u2028"]))
@settings(deadline=None, max_examples=150)
def test_hostile_texts(name: str, lines: list[str], separator: str) -> None:
    assert_alike(name, separator.join(lines))


def real_texts() -> list[str]:
    """Sources of the standard library, whole and in pieces, and pages that pydoc renders."""
    library = Path(sysconfig.get_paths()["stdlib"])
    sources = [path.read_text(encoding="utf-8") for path in sorted(library.glob("[a-d]*.py"))]
    pieces = [source[start : start + 3000] for source in sources for start in range(0, len(source), 30_000)]
    modules = ("json", "math", "string", "random", "statistics", "textwrap", "shutil", "heapq", "bisect", "this")
    pages = [pydoc.plain(pydoc.render_doc(name)) for name in modules[:-1]]
    return sources[:20] + pieces + pages


@pytest.mark.parametrize("name", STOCK)
def test_real_texts(name: str) -> None:
    texts = real_texts()
    assert len(texts) > 80
    for text in texts:
        assert_alike(name, text)
