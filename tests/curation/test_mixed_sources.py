"""Pages, texts and rows in one recipe, of which metadata choose some."""

from pathlib import Path

from pipeline.core.files import read_json
from pipeline.curation.text.documents import read_folder
from tests.curation.conftest import Curate
from tests.curation.recipe_files import DISCLOSURE, hashes, recipe, write_recipe

SENTENCE = "The harbor master writes down every ship that comes in, and who is on board of it."


def test_pages_and_texts_in_one_recipe_and_what_where_leaves_out(tmp_path: Path, run_curate: Curate) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "page.html").write_text(f"<html><body><article><p>{SENTENCE} A page.</p></article></body></html>")
    for name in ("kept", "left_out"):
        (data / f"{name}.txt").write_text(f"{SENTENCE} <b>{name}</b>")
    (data / "rows.csv").write_text(
        "body,stars,address\n" + "".join(f'"{SENTENCE} Row {n}.",{n},https://example.com/{n}\n' for n in range(4))
    )
    sources = [
        {"kind": "html", "path": "data"},
        {"kind": "text", "path": "data", "where": {"path": "kept.txt"}},
        {
            "kind": "csv",
            "path": "data",
            "text_key": "body",
            "columns": {"address": "url"},
            "where": {"stars": {"at_least": 2}},
        },
    ]
    named = [{**each, "disclosure": {**DISCLOSURE, "name": each["kind"]}} for each in sources]
    steps = [{"step": "resiliparse"}, {"step": "length", "minimum_characters": 20}, {"step": "exact_dedup"}]
    write_recipe(tmp_path, recipe(Path(), steps, domain="harbors", sources=named))
    # What `where` leaves out is no damage, of which the stage would not take so much.
    output, result = run_curate(tmp_path, tasks=2)
    kept = {each.text: each.metadata for each in read_folder(output / "documents" / "harbors")}
    assert sorted(text.removeprefix(SENTENCE).strip() for text in kept) == [
        "<b>kept</b>",
        "A page.",
        "Row 2.",
        "Row 3.",
    ]
    assert result.counts == {"in": 7, "kept": 4, "removed": 3}
    assert kept[f"{SENTENCE} Row 2."]["url"] == "https://example.com/2"
    funnel = read_json(output / "report.json")["harbors"]["steps"]
    assert funnel[0]["reasons"] == {"where_path": 1, "where_stars": 2}
    assert [step["kept"] for step in funnel] == [4, 4, 4, 4]
    assert hashes(run_curate(tmp_path, name="again", tasks=1)[0] / "documents") == hashes(output / "documents")
