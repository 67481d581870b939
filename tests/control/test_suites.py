"""Suites: the built-in ones are whole, the user's own are found as scales are."""

from pathlib import Path

import pytest

from pipeline.control.suites import compose_suite, suites
from pipeline.core.config import build
from pipeline.core.errors import ConfigError
from pipeline.evaluation.config import EvaluateConfig


@pytest.mark.parametrize("suite", suites(None))
def test_every_built_in_suite_can_be_built(suite: str) -> None:
    config = build(EvaluateConfig, compose_suite(suite, [], None), f"suite={suite}")
    assert not config.reads_tokens  # any model can be measured by it


def test_a_suite_of_ones_own_stands_on_a_built_in_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf" / "evaluation").mkdir(parents=True)
    (tmp_path / "conf" / "evaluation" / "mine.yaml").write_text("defaults: [base, _self_]\nprobes: {lengths: [512]}\n")
    assert "mine" in suites(None)
    found = compose_suite("mine", ["text.context=64", "probes.examples=3"], None)
    assert (found["probes"]["lengths"], found["probes"]["examples"], found["text"]["context"]) == ([512], 3, 64)
    assert found["text"]["outside"]["packages"]
    (tmp_path / "conf" / "evaluation" / "base.yaml").write_text("probes: null\n")
    with pytest.raises(ConfigError, match="a built-in suite has this name"):
        compose_suite("mine", [], None)


def test_what_cannot_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "empty.yaml").write_text("# nothing\n")
    (tmp_path / "evaluation" / "broken.yaml").write_text("probes: {lengths: [\n")
    for suite, overrides, message in (
        ("basse", [], r"suite=basse: no such suite, did you mean base\?"),
        ("empty", [], "suite=empty: is empty, .*empty.yaml has no key"),
        ("broken", [], "suite=broken: "),
        ("base", ["probes.lengths"], "probes.lengths: not an override"),
        ("base", ["probes.lengths=[1"], "suite=base: "),
    ):
        with pytest.raises(ConfigError, match=message) as error:
            compose_suite(suite, overrides, str(tmp_path))
        assert "\n" not in str(error.value)
