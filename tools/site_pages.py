"""The pages of the docs site: `python -m tools.site_pages` copies and generates them, `make docs` builds the site.

README is the first page; what lies in `docs/`, the files beside README and those of `benchmarks/` keep their text, and
links between them are made to work in the site. Links to files that are no pages lose their target. Two parts are
generated: the reference of the configuration and, for mkdocstrings, one page for each package of the code.
"""

import re
import shutil
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from tools.configuration_reference import reference

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]*)(#[^)\s]*)?\)")
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
FOLDER = ROOT / "build" / "docs"
TOP = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}


def page_of(path: PurePosixPath) -> PurePosixPath | None:
    """The place in the site of a file of the repository, None if it has none."""
    if str(path) in TOP:
        return PurePosixPath(TOP[str(path)])
    if path.parts[0] == "docs":
        return path.relative_to("docs")
    return path if path.parts[0] == "benchmarks" and path.suffix == ".md" else None


def relinked(text: str, path: PurePosixPath) -> str:
    """The text of a page with its links, which lead from file to file in the repository, leading from page to page."""

    def link(found: re.Match[str]) -> str:
        image, label, target, anchor = found.groups()
        if not target or "://" in target:
            return found.group()
        page = page_of(_normal(path.parent / target))
        here = page_of(path)
        if page is None or here is None:
            return label
        up = "../" * (len(here.parts) - 1)
        return f"{image}[{label}]({up}{page}{anchor or ''})"

    parts = FENCE.split(text)
    return "".join(part if place % 2 else LINK.sub(link, part) for place, part in enumerate(parts))


def packages() -> list[str]:
    """The packages directly below `pipeline`, and its modules that belong to none, by name."""
    found = [path.stem for path in (ROOT / "pipeline").iterdir() if path.suffix == ".py" and path.stem[0] != "_"]
    found += [path.parent.name for path in (ROOT / "pipeline").glob("*/__init__.py")]
    return sorted(found)


def write_pages(folder: Path) -> None:
    """Writes all pages and what they show into a folder, in place of what it held."""
    shutil.rmtree(folder, ignore_errors=True)
    sources = [*map(ROOT.joinpath, TOP), *(ROOT / "docs").rglob("*"), *(ROOT / "benchmarks").glob("*.md")]
    for source in sources:
        path = PurePosixPath(source.relative_to(ROOT).as_posix())
        page = page_of(path)
        if page is None or not source.is_file():
            continue
        place = folder / page
        place.parent.mkdir(parents=True, exist_ok=True)
        if source.suffix == ".md":
            place.write_text(relinked(source.read_text(), path))
        else:
            shutil.copy(source, place)
    code = folder / "reference" / "code"
    code.mkdir(parents=True)
    (code.parent / "configuration.md").write_text(reference())
    for name in packages():
        (code / f"{name}.md").write_text(f"# {name}\n\n::: pipeline.{name}\n")


def navigation(pages: Path) -> list[dict[str, Any]]:
    """The menu: tutorials, how-tos, what explains, what is looked up. Each page is called by its own heading."""

    def found(pattern: str) -> list[str]:
        return sorted(path.relative_to(pages).as_posix() for path in pages.glob(pattern))

    explained = [name for name in found("*.md") if name not in TOP.values()]
    reference = ["reference/configuration.md", {"Code": found("reference/code/*.md")}]
    return [
        {"Start": "index.md"},
        {"Tutorials": found("tutorials/*.md")},
        {"How to": found("how_to/*.md")},
        {"Explained": explained},
        {"Reference": reference},
        {"Benchmarks": [*found("benchmarks/*.md"), *found("results/*.md")]},
        {"Project": ["contributing.md", "changelog.md"]},
    ]


def _normal(path: PurePosixPath) -> PurePosixPath:
    """The path without `..` and `.`, as far as it stays in the repository."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts:
            parts.pop()
        elif part != ".":
            parts.append(part)
    return PurePosixPath(*parts) if parts else PurePosixPath(".")


if __name__ == "__main__":
    write_pages(FOLDER / "pages")
    menu = [entry for entry in navigation(FOLDER / "pages") if all(entry.values())]
    settings = {"INHERIT": "../../mkdocs.yml", "docs_dir": "pages", "nav": menu}
    (FOLDER / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False))
