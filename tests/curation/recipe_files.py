"""Recipes over a few lines of JSON, for tests."""

import gzip
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

DISCLOSURE = {
    "name": "lines", "url": "none", "date_obtained": "today", "description": "test", "source": "test",
    "data_provenance": "test",
}  # fmt: skip


def recipe(path: Path, steps: list[dict[str, Any]], domain: str = "technical", **changes: Any) -> dict[str, Any]:
    """A recipe for JSON lines."""
    return {
        "domain": domain,
        "description": "test",
        "licence": "none",
        "languages": ["en"],
        "sources": [{"kind": "jsonl", "path": str(path), "disclosure": DISCLOSURE}],
        "steps": steps,
        **changes,
    }


def write_recipe(folder: Path, content: dict[str, Any]) -> Path:
    """Writes a recipe where its domain says; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{content['domain']}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def write_lines(path: Path, texts: Iterable[str]) -> Path:
    """Writes texts as JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(json.dumps({"text": text}) + "\n" for text in texts).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def hashes(folder: Path) -> dict[str, str]:
    """Relative path to the hash of each file."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
