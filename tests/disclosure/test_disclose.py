"""The trust pack: each file holds against its schema, says what the run knows, and "not known" of all else."""

import dataclasses
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pipeline.control.compose import compose, typed
from pipeline.core.artifact import PARTIAL, Artifact, Manifest, load, publish, read_manifest
from pipeline.core.config import build
from pipeline.core.context import StageContext, StageResult
from pipeline.core.errors import ArtifactError, ConfigError, UserError
from pipeline.core.files import read_json, write_json
from pipeline.curation.audit.web_domains import WEB_DOMAINS, WebDomains, registered_domain
from pipeline.curation.text.documents import write_rows
from pipeline.disclosure import disclose
from pipeline.disclosure.config import DiscloseConfig
from pipeline.disclosure.eu_summary import listed_domains, size_class
from pipeline.disclosure.sources import latest_date
from pipeline.release.bom import BOM
from pipeline.release.model_card import evaluation_sections
from tests import ROOT
from tests.curation.recipe_files import hashes

SCHEMAS = ROOT / "tests" / "disclosure" / "schemas"
PAGES = {
    "name": "pages", "url": "https://example.org/pages", "date_obtained": "2026-10-31", "languages": ["en", "de"],
    "description": "Pages | of proofs", "type": "text", "source": "Us", "data_provenance": "Web crawling",
    "user_data": "no", "synthetic": "no", "seed_data": None, "size_MB": 0.5, "domain": "web", "licence": "CC-BY-4.0",
    "documents": 3,
}  # fmt: skip
BEST = {**PAGES, "name": "best pages", "domain": "web_hq", "size_MB": 0.2, "documents": 1}
BOOKS = {
    **PAGES,
    "name": "books",
    "data_provenance": "scanned",
    "licence": "their own",
    "domain": "books",
    "size_MB": 9.5,
}
SUMS = {**PAGES, "name": "sums", "synthetic": "yes", "seed_data": "none", "source": "a program", "domain": "math"}
STEPS = [
    {"step": "read", "in": 5, "kept": 5, "removed": 0, "edited": 0, "found": {}, "reasons": {}},
    {"step": "pii", "in": 5, "kept": 3, "removed": 2, "edited": 1, "found": {"email": 4}, "reasons": {"x": 2}},
]
REPORT = {
    "web": {
        "in": 5,
        "kept": 3,
        "bytes": 500_000,
        "description": "Web",
        "steps": STEPS,
        "sources": {"pages": {"documents": 3}},
    },
    "web_hq": {"in": 3, "kept": 1, "bytes": 1, "steps": [], "sources": {"best pages": {}, "pages": {"documents": 1}}},
}  # fmt: skip
STAGE = typed(compose(["scale=smoke", "+stage=disclose"])).stages["disclose"]
SETTINGS: dict[str, Any] = STAGE.config if STAGE is not None else {}
NOBODY: DiscloseConfig = build(DiscloseConfig, SETTINGS, "stages.disclose.config")


def made(run: Path, stage: str, kind: str, inputs: dict[str, str], files: dict[str, Any], **rest: Any) -> Path:
    """Publishes a stage with some files: JSON of values, and bytes as they are."""
    (run / stage).mkdir(parents=True)
    for name, value in files.items():
        path = run / stage / PARTIAL / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, bytes):
            path.write_bytes(value)
        else:
            write_json(path, value)
    sources = {}
    for role, upstream in inputs.items():
        found = read_manifest(run / upstream)
        assert found is not None
        sources[role] = {"stage": upstream, "fingerprint": found.fingerprint, "content": found.content}
    times = {"started": "2026-11-01T10:00:00+00:00", "finished": "2026-11-01T11:00:00+00:00"}
    publish(
        run / stage,
        Manifest(stage=stage, kind=kind, fingerprint=f"of {stage}", inputs=sources, files={}, **{**times, **rest}),
    )
    return run / stage


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run from pages to a released model, in a folder whose name has a space."""
    run = tmp_path / "my runs" / "first"
    web = WebDomains()
    for number in range(11):
        web.count("pages", {"url": f"https://www.site{number:02}.co.uk/page"}, 100 - number)
    web.count("pages", {"url": "http://pydoc.invalid/json"}, 10**6)
    counted = run / "counted"
    write_rows(counted, web.rows())
    rows = counted.read_bytes()
    documents = {f"documents/web/{number:05}.jsonl.gz": b"not read" for number in range(2)}
    made(
        run, "curate", "curate", {},
        {"disclosure.json": [PAGES, BEST, BOOKS], "report.json": REPORT, WEB_DOMAINS: rows, **documents},
    )  # fmt: skip
    counts = {"tokens/web": 3000.0, "tokens/web_hq": 1000.0, "tokens/books": 2000.0, "tokens/books_long": 700.0}
    made(run, "tokenize", "tokenize", {"corpus": "curate"}, {}, metrics=counts, packages={"torch": "2.13"})
    made(run, "phase1", "pretrain", {"tokens": "tokenize"}, {}, measure="loss", before=5.0, after=3.25)
    conversations = {"sft_data": {"in": 2, "kept": 2, "steps": [], "sources": {"math/sums": {}, "mine.jsonl": {}}}}
    made(run, "sft_data", "sft_data", {}, {"disclosure.json": [SUMS], "report.json": conversations})
    made(run, "rl_math", "rl", {"model": "phase1", "data": "sft_data"}, {})
    made(run, "evaluate_rl_math", "evaluate", {"model": "rl_math"}, {}, metrics={"loss/mean": 3.0})
    model = {"config.json": {"architectures": ["GraniteForCausalLM"], "num_hidden_layers": 4}, "README.md": b"# Tiny\n"}
    made(
        run, "release", "release", {"model": "rl_math", "evaluate_rl_math": "evaluate_rl_math"},
        {f"model/{name}": value for name, value in model.items()}, metrics={"parameters": 1234.0},
    )  # fmt: skip
    write_json(run / "release" / "config.json", {"config": {"name": "Tiny", "license": "Apache-2.0"}})
    return run


def disclosed(run: Path, config: DiscloseConfig = NOBODY, name: str = "disclose") -> tuple[Path, StageResult]:
    context = StageContext.for_test("disclose", config, {"release": load(run / "release")}, run / name)
    return context.output, disclose.run(context)


def test_every_file_holds_against_its_schema(run: Path) -> None:
    output, result = disclosed(run)
    assert {path.name for path in output.iterdir()} == {*disclose.CONTENTS, "README.md"} - {"model.sig"}
    for name in ("eu_training_content", "data_disclosure", "croissant"):
        value = read_json(output / f"{name}.json")
        schema = read_json(SCHEMAS / f"{name}.schema.json")
        jsonschema.Draft202012Validator.check_schema(schema)
        jsonschema.validate(value, schema)
        damaged = {**value, next(each for each in schema["required"]): 3}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(damaged, schema)
    assert result.metrics["stages"] == 7
    validation = pytest.importorskip("cyclonedx.validation.json")
    schema = pytest.importorskip("cyclonedx.schema").SchemaVersion.V1_7
    validator = validation.JsonStrictValidator(schema)
    text = (output / BOM).read_text()
    assert validator.validate_str(text) is None
    assert validator.validate_str(text.replace('"taskTypes"', '"taskType"')) is not None


def test_the_same_run_gives_the_same_bytes(run: Path) -> None:
    first, _ = disclosed(run)
    elsewhere = Path(shutil.copytree(run, run.parent / "moved", ignore=shutil.ignore_patterns("disclose")))
    second, _ = disclosed(elsewhere)
    assert hashes(first) == hashes(second)


def test_a_bill_has_a_task_for_each_manifest(run: Path) -> None:
    output, _ = disclosed(run)
    bill = read_json(output / BOM)
    (formula,) = bill["formulation"]
    (workflow,) = formula["workflows"]
    tasks = {each["name"]: each for each in workflow["tasks"]}
    assert set(tasks) == {"curate", "tokenize", "phase1", "sft_data", "rl_math", "evaluate_rl_math", "release"}
    assert [each["resource"]["ref"] for each in tasks["rl_math"]["inputs"]] == ["artifact:sft_data", "artifact:phase1"]
    assert tasks["curate"]["timeStart"] == "2026-11-01T10:00:00+00:00"
    artifacts = {each["bom-ref"]: each["hashes"][0]["content"] for each in formula["components"]}
    assert artifacts["artifact:curate"] == load(run / "curate").manifest.content
    references = re.findall(r'"(?:bom-)?ref": "([^"]+)"', (output / BOM).read_text())
    own = set(re.findall(r'"bom-ref": "([^"]+)"', (output / BOM).read_text()))
    assert set(references) == own
    names = {each["name"]: each for each in bill["components"]}
    assert names["pages"]["licenses"] == [{"license": {"id": "CC-BY-4.0"}}]
    assert names["books"]["licenses"] == [{"license": {"name": "their own"}}]
    assert names["torch"]["purl"] == "pkg:pypi/torch@2.13"
    assert {each["name"] for each in bill["metadata"]["component"]["components"]} == {"config.json", "README.md"}


def test_the_summary_says_what_the_run_knows_and_nothing_else(run: Path) -> None:
    output, result = disclosed(run)
    summary = read_json(output / "eu_training_content.json")
    fields = {number: each["fields"] for number, each in summary["sections"].items()}
    assert fields["1.1"] == {"Name and contact": "not known", "Representative": "not known"}
    assert fields["1.2"]["Versioned name"] == "Tiny"
    # web_hq and books_long hold documents of others once more.
    assert fields["1.3"]["Size of text"] == "less than 1 billion tokens (5,000 training tokens after curation)"
    assert fields["1.3"]["Latest date of acquisition"] == "2026-10-31"
    assert fields["1.3"]["Languages"] == "de, en"
    assert [each["name"] for each in fields["2.3"]["Sources"]] == ["pages"]
    assert fields["2.3"]["Crawlers, purposes, behavior and period"] == "not known"
    assert [row["domain"] for row in fields["2.3"]["Domain names"]] == ["site00.co.uk", "site01.co.uk"]
    assert fields["2.3"]["Number of domain names"] == 11
    assert fields["2.3"]["Documents with an address that has no domain name"] == 1
    assert fields["2.4"] == {"Used": "none is recorded"}
    assert [each["made by"] for each in fields["2.5"]["Sources"]] == ["a program"]
    assert fields["2.5"]["Stages that trained on the model's own completions"] == "rl_math"
    assert fields["2.6"]["Files of the provider's own, whose origin is not known"] == "mine.jsonl"
    assert [row["step"] for row in fields["3.2"]["Steps on lists of addresses, personal data and licenses"]] == ["pii"]
    readme = (output / "README.md").read_text()
    assert "- eu_training_content.json / sections / 3.1 / fields / Measures\n" in readme
    assert result.metrics["not_known"] == readme.partition("## Not known")[2].count("\n- ")
    assert "Pages \\| of proofs" in (output / "eu_training_content.md").read_text()
    assert (output / "model_card.md").read_text() == "# Tiny\n"


def test_settings_say_what_only_the_provider_knows(run: Path) -> None:
    said: dict[str, Any] = {"provider": "Us, us@example.org", "opt_out": "robots.txt", "updated": "2026-11-27"}
    config = dataclasses.replace(NOBODY, categories={"books": "licensed"}, small_enterprise=True, **said)
    output, _ = disclosed(run, config)
    sections = read_json(output / "eu_training_content.json")["sections"]
    assert sections["1.1"]["fields"]["Name and contact"] == "Us, us@example.org"
    assert sections["3.1"]["fields"]["Measures"] == "robots.txt"
    assert [each["name"] for each in sections["2.2.1"]["fields"]["Sources"]] == ["books"]
    assert len(sections["2.3"]["fields"]["Domain names"]) == 1
    with pytest.raises(ConfigError, match=r"categories\.bookz: no source has this name, did you mean books\?"):
        disclosed(run, dataclasses.replace(NOBODY, categories={"bookz": "licensed"}), "other")
    with pytest.raises(ConfigError, match="updated is 'today', set a date such as 2026-11-30"):
        build(DiscloseConfig, {**SETTINGS, "updated": "today"}, "stages.disclose.config")


def test_what_is_damaged_or_older_is_named_or_not_known(run: Path) -> None:
    context = StageContext.for_test("disclose", NOBODY, {"release": load(run / "phase1")}, run / "disclose")
    with pytest.raises(ConfigError, match=r"inputs\.release=phase1: is of kind pretrain, name a stage of kind release"):
        disclose.run(context)
    # An older version: no times, no counts of web domains, no settings beside the release.
    for stage in ("curate", "release"):
        manifest = read_json(run / stage / "manifest.json")
        for key in ("started", "finished", "metrics", "code"):
            del manifest[key]
        manifest["files"].pop(WEB_DOMAINS, None)
        write_json(run / stage / "manifest.json", manifest)
    (run / "curate" / WEB_DOMAINS).unlink()
    (run / "release" / "config.json").unlink()
    output, _ = disclosed(run, name="older")
    sections = read_json(output / "eu_training_content.json")["sections"]
    assert sections["2.3"]["fields"]["Domain names"].startswith("not known: the curation of this run")
    assert sections["1.2"]["fields"]["Versioned name"] == "not known"
    assert read_json(output / "data_disclosure.json")["disclosures"]["model"]["parameter_count"] == "not known"
    assert read_json(output / "croissant.json")["datePublished"] == "not known"
    shutil.rmtree(run / "phase1")
    with pytest.raises(ArtifactError, match="phase1: rl_math was made from it, but it is missing; run from=phase1"):
        disclosed(run, name="half")


def test_what_was_imported_is_not_known(run: Path) -> None:
    made(run, "import_model", "import_model", {}, {"imported.json": {"source": "owner/model", "revision": None}})
    manifest = read_json(run / "phase1" / "manifest.json")
    manifest["inputs"]["model"] = {"stage": "import_model", "fingerprint": "of import_model"}
    write_json(run / "phase1" / "manifest.json", manifest)
    output, _ = disclosed(run)
    sections = read_json(output / "eu_training_content.json")["sections"]
    assert sections["1.2"]["fields"]["Depends on"] == "weights of owner/model"
    assert sections["1.3"]["fields"]["Size of text"].startswith(
        "not known, as weights of owner/model came from elsewhere"
    )
    parts = read_json(output / "data_disclosure.json")["disclosures"]
    (imported,) = [each for each in parts["pre-training"]["methods"] if each["category"] == "not known"]
    assert imported["datasets"][0]["size_MB"] == "not known"


def test_a_signature_covers_the_released_folder(run: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(NOBODY, signing_key=str(tmp_path / "no key.pem"))
    assert config.plan().warnings == (f"signing_key={tmp_path / 'no key.pem'}: no such file on this machine",)
    pytest.importorskip("model_signing")
    with pytest.raises(UserError, match=r"signing_key=.*: not a usable private key"):
        disclosed(run, config, "unsigned")
    key = tmp_path / "a key.pem"
    subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], check=True)
    subprocess.run(["openssl", "ec", "-in", key, "-pubout", "-out", tmp_path / "key.pub"], check=True)
    output, _ = disclosed(run, dataclasses.replace(NOBODY, signing_key=str(key)))
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(run / "release" / "model")]
    command += ["--signature", str(output / "model.sig"), "--public_key", str(tmp_path / "key.pub")]
    assert subprocess.run(command).returncode == 0
    (run / "release" / "model" / "README.md").write_text("# Another\n")
    assert subprocess.run(command).returncode != 0


def test_croissant_loads_with_the_vocabularys_own_program(run: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    output, _ = disclosed(run)
    dataset = mlcroissant.Dataset(jsonld=json.loads((output / "croissant.json").read_text()))
    assert not dataset.metadata.issues.errors
    assert [each.name for each in dataset.metadata.record_sets] == [
        f"curate/documents/web/{number:05}.jsonl.gz" for number in range(2)
    ]


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("https://News.Example.co.uk:8080/a?b", "example.co.uk"),
        ("example.com/page", "example.com"),
        ("http://192.168.0.1/", ""),
        ("http://pydoc.invalid/json", ""),
        ("http://[broken", ""),
        ("file:///tmp/a", ""),
    ],
)
def test_the_registered_domain_of_an_address(url: str, domain: str) -> None:
    assert registered_domain(url) == domain


def test_domains_are_counted_by_size_then_name() -> None:
    web = {"": (9, 900), **{f"{letter}.org": (1, 10) for letter in "cab"}, "z.org": (1, 11)}
    assert listed_domains(web, small=False) == [("z.org", 1, 11)]
    many = {f"{number:05}.org": (1, number) for number in range(30_000)}
    assert len(listed_domains(many, small=False)) == 3_000
    assert len(listed_domains(many, small=True)) == 1_000
    assert listed_domains({}, small=False) == []


def test_the_card_shows_intervals_where_there_are_some() -> None:
    metrics = {"accuracy/math": 0.5, "accuracy/math/low": 0.4, "accuracy/math/high": 0.6125, "loss/mean": 3.0}
    measured = Manifest(stage="e", kind="evaluate", fingerprint="", inputs={}, files={}, metrics=metrics)
    *_, table = evaluation_sections({"sft": measured})
    assert table.splitlines()[2:] == ["| accuracy/math | 0.5 (0.40 to 0.61) |", "| loss/mean | 3 |"]


def test_classes_and_dates() -> None:
    assert size_class(10**9 - 1) == "less than 1 billion tokens"
    assert size_class(10**9) == "1 billion to 10 trillion tokens"
    assert size_class(10**13) == "more than 10 trillion tokens"
    dates = [{"date_obtained": each} for each in ("02/10/2025", "2024-12", "at installation")]
    assert latest_date(dates) == "2025-02-10 (2 of 3 sources give a date)"
    assert latest_date(dates[2:]) == "not known"


def test_an_artifact_is_not_written_to(run: Path) -> None:
    before = hashes(run)
    disclosed(run)
    after = {name: each for name, each in hashes(run).items() if not name.startswith("disclose/")}
    assert after == before
    assert isinstance(load(run / "release"), Artifact)
