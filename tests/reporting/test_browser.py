"""The page as a browser shows it: in both schemes, with the keyboard, to a screen reader, and without any network."""

from collections.abc import Iterator

import pytest

from pipeline.reporting.writing import report_run, write_report
from tests.chromium import BINARY, Page, browser
from tests.reporting.small_run import make_run

pytestmark = [
    pytest.mark.skipif(BINARY is None, reason="needs chromium"),
    pytest.mark.slow,
]
CONTRAST = """
(() => {
  const channel = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const luminance = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((each) => channel(Number(each)));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const color = getComputedStyle(element).backgroundColor;
      if (!/^rgba\\(.*, 0\\)$/.test(color)) return color;
    }
    return "rgb(255, 255, 255)";
  };
  return [...document.querySelectorAll(SELECTOR)].map((each) => {
    const style = getComputedStyle(each);
    const [a, b] = [luminance(each instanceof SVGElement ? style.fill : style.color), luminance(behind(each))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
})()
"""
"""Contrast of the text of elements with what is behind it, by the formula of WCAG 2.2."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    run = make_run(tmp_path_factory.mktemp("runs of mine") / "first")
    # Something is missing, which is said in a color of its own.
    (run / "curate" / "manifest.json").unlink()
    page, _ = write_report(report_run(run, None), run)
    return page.as_uri()


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.timeout(600)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_verdict_can_be_read_in_both_schemes(scheme: str, page: Page, address: str) -> None:
    page.open(address, scheme)
    lines = page.evaluate("[...document.querySelectorAll('.verdict li')].map((each) => each.innerText)")
    assert [line.split(":")[0] for line in lines] == [
        "Text", "Long context", "Answers", "Reinforcement learning", "Run",
    ]  # fmt: skip
    assert page.evaluate("document.querySelector('.verdict').getBoundingClientRect().bottom <= innerHeight")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    for selector in (".verdict li", "th", "td", "summary", ".missing", "svg text", "nav a"):
        found = page.evaluate(CONTRAST.replace("SELECTOR", f'"{selector}"'))
        assert found, selector
        assert min(found) >= 4.5, (selector, min(found))
    # Lines of plots are told from the paper.
    lines = page.evaluate(
        "[...document.querySelectorAll('svg path')].map((each) => getComputedStyle(each).stroke)"
        ".filter((each) => each !== 'none')"
    )
    assert len(set(lines)) >= 3
    assert not [each for each in lines if "b0000" in each or each == "rgb(160, 0, 0)"]


@pytest.mark.timeout(600)
def test_nothing_is_fetched_and_nothing_runs(page: Page, address: str) -> None:
    """Samples of the run have a script and an image that they would fetch."""
    page.open(address)
    assert page.requests == [address]
    assert page.evaluate("document.title") == "Run first"
    assert page.evaluate("document.scripts.length") == 0
    assert page.evaluate("document.images.length") == 0
    assert "<script>document.title" in page.evaluate("document.querySelector('main').textContent")


@pytest.mark.timeout(600)
def test_the_keyboard_reaches_everything_in_order(page: Page, address: str) -> None:
    page.open(address)
    expected = page.evaluate("[...document.querySelectorAll('details')].map((each) => each.id)")
    assert len(set(expected)) == len(expected) > 10
    reached: list[str] = []
    first = ""
    for _ in range(500):
        page.press("Tab")
        at = page.evaluate(
            "(() => { const at = document.activeElement;"
            " return at.tagName === 'SUMMARY' ? at.parentElement.id : at.className || at.tagName; })()"
        )
        first = first or at
        if at in expected:
            reached.append(at)
        if at == expected[-1]:
            page.press("Enter")
            break
    assert first == "skip"
    assert reached == expected
    assert page.evaluate(f"document.getElementById({expected[-1]!r}).open")


@pytest.mark.timeout(600)
def test_a_screen_reader_finds_names_for_everything(page: Page, address: str) -> None:
    page.open(address)
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    nodes = [each for each in page.call("Accessibility.getFullAXTree")["nodes"] if not each.get("ignored")]

    def named(role: str) -> list[str]:
        return [each.get("name", {}).get("value", "") for each in nodes if each.get("role", {}).get("value") == role]

    headings = named("heading")
    assert headings[:3] == ["Run first", "Verdict", "Chain"]
    for role in ("table", "image", "region", "navigation", "DisclosureTriangle"):
        assert named(role), role
        assert all(named(role)), role
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3')].map((each) => Number(each.tagName[1]))")
    assert levels[0] == 1
    assert set(levels[1:]) == {2}
    assert page.evaluate("document.querySelectorAll('table').length === document.querySelectorAll('caption').length")
    assert page.evaluate("document.querySelectorAll('th:not([scope])').length") == 0
    identities = page.evaluate("[...document.querySelectorAll('[id]')].map((each) => each.id)")
    assert len(set(identities)) == len(identities)
