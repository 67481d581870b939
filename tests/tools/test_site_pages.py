"""The pages of the docs site: every link leads to a page, every setting is there and described."""

import re
from pathlib import Path, PurePosixPath

import pytest

from pipeline.stages import STAGE_TYPES, load_symbol
from tools.configuration_reference import field_docstrings, settings_of
from tools.site_pages import FENCE, LINK, navigation, relinked, write_pages


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "pages"
    write_pages(folder)
    return folder


@pytest.mark.parametrize("kind", STAGE_TYPES)
def test_every_setting_is_in_the_reference_with_its_description(kind: str, pages: Path) -> None:
    cls = load_symbol(STAGE_TYPES[kind].config)
    settings = list(settings_of(cls))
    assert settings
    assert not [each.key for each in settings if not each.description]
    section = (
        (pages / "reference" / "configuration.md").read_text().partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
    )
    rows = {row.split("|")[1].strip() for row in section.splitlines() if row.startswith("| `")}
    assert rows == {f"`{each.key}`" for each in settings}


def test_the_reference_has_values_limits_and_defaults(pages: Path) -> None:
    text = (pages / "reference" / "configuration.md").read_text()
    (row,) = [line for line in text.splitlines() if line.startswith("| `validation_share` |") and "`0.05`" in line][:1]
    assert "number" in row
    assert "| `nodes`" not in text  # Nested settings have the key of what they are in.
    assert re.search(r"\| `resources.\*.nodes` \| whole number above 0 \| `1` \|", text)


def test_a_docstring_of_a_base_class_is_found() -> None:
    from pipeline.posttraining.sft.config import SftConfig

    assert {each.key for each in settings_of(SftConfig) if "." not in each.key} <= set(field_docstrings(SftConfig))


def test_links_lead_to_pages(pages: Path) -> None:
    links = 0
    for page in pages.rglob("*.md"):
        text = "".join(FENCE.split(page.read_text())[::2])
        for _, label, target, _ in LINK.findall(text):
            if target and "://" not in target:
                links += 1
                assert (page.parent / target).is_file(), f"{page.relative_to(pages)}: [{label}]({target})"
    assert links > 10


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("README.md", "[a](docs/curation.md#scale)", "[a](curation.md#scale)"),
        ("README.md", "![a](docs/images/chain.svg)", "![a](images/chain.svg)"),
        ("README.md", "[the licence](LICENSE)", "the licence"),
        ("docs/how_to/chat.md", "[a](../../README.md)", "[a](../index.md)"),
        ("docs/how_to/chat.md", "[a](../../benchmarks/seeds.md)", "[a](../benchmarks/seeds.md)"),
        ("docs/how_to/chat.md", "[a](export.md)", "[a](../how_to/export.md)"),
        ("docs/curation.md", "[a](#here) [b](https://a.org/b.md)", "[a](#here) [b](https://a.org/b.md)"),
        ("docs/curation.md", "```\n[a](no.md)\n```", "```\n[a](no.md)\n```"),
    ],
)  # fmt: skip
def test_a_link_leads_where_its_page_is(path: str, text: str, expected: str) -> None:
    assert relinked(text, PurePosixPath(path)) == expected


def test_the_menu_has_every_page_once(pages: Path) -> None:
    def names(entry: object) -> list[str]:
        if isinstance(entry, str):
            return [entry]
        members = entry.values() if isinstance(entry, dict) else entry
        assert not isinstance(members, int)
        return [name for each in members for name in names(each)]  # pyright: ignore

    menu = names(navigation(pages))
    assert sorted(menu) == sorted(path.relative_to(pages).as_posix() for path in pages.rglob("*.md"))
