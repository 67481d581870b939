"""What a report says of finished, half-finished, damaged and old runs, and that no text of a run becomes part of it."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from pipeline.core.progress import Progress
from pipeline.evaluation.contamination_search import measure_contamination
from pipeline.reporting.blocks import Plot, Report, Section, Series, Text
from pipeline.reporting.html import render_html
from pipeline.reporting.markdown import escaped, render_markdown
from pipeline.reporting.plots import data_table, svg
from pipeline.reporting.run_data import load_run
from pipeline.reporting.sections.documents import curation
from pipeline.reporting.sections.reinforcement import lengths_of_domains
from pipeline.reporting.writing import build_report
from tests.evaluation.contaminated_run import make_contaminated_run, publish_evaluation
from tests.reporting.small_run import HOSTILE, make_run
from tests.runs import frozen_stage


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "first")


@pytest.fixture(scope="module")
def report(run: Path) -> Report:
    return build_report(load_run(run))


class Elements(HTMLParser):
    """The elements of a page with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_verdict_is_five_lines_of_numbers(report: Report) -> None:
    text, long, answers, learned, state = report.summary
    assert "after phase2 its held-out loss is 1.50 nats per token, where a uniform guess has 7.62" in text
    assert "rl_math has 8.00 on text (worse than a uniform guess: it can no longer write text)" in text
    assert long == ("Long context: phase2 finds most needles up to 256 tokens; at 512 tokens it finds 0 %.")
    assert "rl_math answers 75 % of held-out prompts right over 2 domains" in answers
    assert answers.endswith("it can (above chance and the best constant reply): general_chat, math; it cannot: none.")
    assert "1 rose beyond their 90 % interval (math in rl_math) and 0 fell (none)" in learned
    assert state.startswith(
        "Run: all 10 of 10 stages are finished, 2,000 tokens of pretraining, 30.0 s in stages, 10 kWh"
    )


def test_every_section_is_there(report: Report) -> None:
    text = render_markdown(report)
    assert "cannot be made of what the run left" not in text
    for expected in (
        "| phase2 | done | model: phase1 | ",
        "| code | 10 | 7 | 70 % | 700 |",
        "| length | too\\_short | 3 |",
        "| code | 75.00 % | 75.00 % | 30 | 0.5 |",
        "| 100 | 3.9 |  |",
        "| phase2 | slerp | 0.5 | 2 | 2.5 | yes |",
        "| math | 0.250 (0.15 to 0.35) | 0.750 (0.65 to 0.85) | +0.500 | 32 | 0.1 | 0.3 | yes |",
        "| rl\\_math | math | +0.500 (+0.30 to +0.70) | 0.10 | passed |",
        "| math | 24 | 0.2 | 0.7 | 0.5 | +0.300 to +0.700 | rose |",
        "| sft | four | 1 (right) |",
        "| phase1 | 1 | 3.0 s | 1,000 |  | 100 | 6e+09 | ",
    ):
        assert expected in text, expected


def test_no_text_of_a_run_becomes_a_part_of_the_page(report: Report) -> None:
    page = render_html(report)
    tags = [tag for tag, _ in Elements(page).found]
    assert not {"script", "img", "iframe", "link", "object", "embed", "form"} & set(tags)
    assert not [name for _, attributes in Elements(page).found for name in attributes if name.startswith("on")]
    addresses = {
        value
        for _, attributes in Elements(page).found
        for name, value in attributes.items()
        if name in ("src", "href", "xlink:href") and value is not None
    }
    assert all(address.startswith("#") for address in addresses)
    assert "&lt;script&gt;document.title=" in page
    assert "<script" not in page
    text = render_markdown(report)
    assert "<" not in text
    assert "&lt;script&gt;document.title=" in text


@pytest.mark.parametrize("text", [HOSTILE, "a\n# b", "[x](http://a)", "| a | b |", "$x$ ~~y~~ `z`", "\\|"])
def test_markdown_shows_a_text_as_it_is(text: str) -> None:
    shown = escaped(text)
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)(?:\\\\)*[\[\]|`*$~#]", shown)


def test_hostile_names_are_drawn(run: Path) -> None:
    """What matplotlib would read as a formula, or leave out of a legend, and half of a surrogate pair."""
    names = ["$\\frac{$", "_hidden", HOSTILE]
    plot = Plot("p", "says", "x", "y", [Series(name, [(1.0, 2.0), (2.0, 3.0)]) for name in names], marks=[(1.0, "$x")])
    drawn = svg(plot, 3)
    assert "_hidden" in drawn
    assert "<script" not in drawn
    assert drawn == svg(plot, 3)
    assert set(re.findall(r'\bid="(plot\d+)-', drawn)) == {"plot3"}
    assert not re.findall(r'\bid="(?!plot3-)', drawn)
    assert "var(--series-2)" in drawn
    assert "#b0000" not in drawn
    assert data_table(plot).rows[0] == ("1", "2", "2", "2")


def test_a_half_finished_run_says_what_is_missing(tmp_path: Path) -> None:
    run = make_run(tmp_path / "half")
    for name in ("phase2", "evaluate_phase2", "evaluate_sft", "evaluate_rl_math", "rl_math", "sft_data"):
        (run / name / "manifest.json").unlink()
    planned = [
        frozen_stage(stage.name, f"of {stage.name}", kind=stage.kind, run="half") for stage in load_run(run).stages
    ]
    planned.append(frozen_stage("release", "of release", kind="release", run="half"))
    text = render_markdown(build_report(load_run(run, planned)))
    assert "Long context: not known, no finished evaluation measured retrieval." in text
    assert "Answers: not known, no finished evaluation asked for any." in text
    assert "Run: only 4 of 11 stages are finished" in text
    assert "| release | not started |" in text
    assert "phase2 is not finished (started): the right columns are empty." in text
    assert "cannot be made of what the run left" not in text


def test_damaged_and_old_manifests_are_told(tmp_path: Path) -> None:
    run = make_run(tmp_path / "old")
    (run / "curate" / "manifest.json").write_text("{")
    manifest = json.loads((run / "phase1" / "manifest.json").read_text())
    for later in ("host", "packages", "code", "samples", "world_size"):
        del manifest[later]
    (run / "phase1" / "manifest.json").write_text(json.dumps(manifest))
    for made_later in ("history.jsonl", "usage.json", "attempts/1/metrics.jsonl"):
        (run / "phase1" / made_later).unlink()
    (run / "sft_data" / "report.json").write_text("[1]")
    text = render_markdown(build_report(load_run(run)))
    assert "| curate | damaged |" in text
    assert "phase1: its manifest, of an older version, does not say host, packages" in text
    assert "No logged steps of phase1 " in text
    assert "sft\\_data: no funnel to show" in text


def test_a_part_of_an_unexpected_form_costs_that_part_alone(tmp_path: Path) -> None:
    run = make_run(tmp_path / "strange")
    (run / "curate" / "report.json").write_text('{"code": {"in": 1, "kept": 1, "steps": [{"reasons": 7}]}}')
    report = build_report(load_run(run))
    text = render_markdown(report)
    assert text.count("cannot be made of what the run left") == 1
    assert "## Cost" in text


def test_a_folder_without_anything_is_a_report(tmp_path: Path) -> None:
    text = render_markdown(build_report(load_run(tmp_path)))
    assert "Run: all 0 of 0 stages are finished" in text
    assert "cannot be made" not in text


def test_contamination_stands_beside_each_score(tmp_path: Path) -> None:
    run = make_contaminated_run(tmp_path / "first")
    get = "`fivephase contamination run=first` says how many of these prompts the training data hold"
    assert f"{get}: contamination.json is not there." in evaluation_text(run)
    measure_contamination(run, Progress(None))
    for expected in (
        "| domain | sft | rl_math |",
        "| math | 0.500, 50 % held, others 0.000 (0.00 to 0.66) | 0.500, 75 % held, others 0.000 (0.00 to 0.79) |",
        "| general_chat/train | 1.000, 100 % held | 1.000, 100 % held |",
    ):
        assert expected in evaluation_text(run), expected
    publish_evaluation(run, "evaluate_again", {"model": "sft"})
    assert f"{get}: contamination.json is of another state of this run." in evaluation_text(run)
    (run / "contamination.json").write_text("{")
    assert "contamination.json is of another state of this run." in evaluation_text(run)


def evaluation_text(run: Path) -> str:
    return render_markdown(build_report(load_run(run))).replace("\\", "")


def test_lengths_by_domain(run: Path) -> None:
    assert lengths_of_domains(run / "rl_math" / "completions") == {"math": {1: 4.0}}


def test_the_same_run_gives_the_same_bytes(run: Path, report: Report) -> None:
    assert render_html(build_report(load_run(run))) == render_html(report)


def test_the_page_has_no_script_unless_it_follows() -> None:
    report = Report("t", ["a"], [Section("s", "S", [Text("x")])])
    assert "<script" not in render_html(report)
    assert render_html(report, "v1").count("<script") == 1


def test_the_funnel_of_a_run_without_curation_is_said(tmp_path: Path) -> None:
    (block,) = curation(load_run(tmp_path)).blocks
    assert "no stage that curates" in str(block)
