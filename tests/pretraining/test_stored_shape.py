"""A checkpoint's size by its headers is what the loaded model counts, and `plan` counts FLOPs with it."""

import re
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from pipeline.control.compose import compose, typed
from pipeline.control.frozen_stages import freeze
from pipeline.control.planning import plan_phases, plan_table
from pipeline.pretraining.stored_shape import StoredShape, stored_shape
from tests import ROOT
from tests.foreign import foreign_model, write_foreign


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("architecture", ["llama", "granite"])
def test_the_size_is_that_of_the_model(architecture: str, tied: bool, tmp_path: Path) -> None:
    model = foreign_model(architecture, tied)
    model.save_pretrained(tmp_path / "whole")
    model.save_pretrained(tmp_path / "parts", max_shard_size="20KB")
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 1
    expected = StoredShape(layers=2, hidden_size=32, parameters=model.num_parameters())
    assert stored_shape(tmp_path / "whole") == stored_shape(tmp_path / "parts") == expected
    if tied:
        # As Granite 4.1 stores its output layer.
        path = tmp_path / "whole" / "model.safetensors"
        weights = load_file(path)
        save_file({**weights, "lm_head.weight": weights["model.embed_tokens.weight"].clone()}, path)
        assert stored_shape(tmp_path / "whole") == expected


def test_what_cannot_be_read_has_no_size(tmp_path: Path) -> None:
    assert stored_shape(tmp_path / "nowhere") is None
    folder = write_foreign(tmp_path / "llama")
    (folder / "model.safetensors").write_bytes(b"\4\0\0\0\0\0\0\0null")
    assert stored_shape(folder) is None


def test_a_phase_that_continues_an_imported_model_is_planned_with_its_flops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scale of docs/how_to/own_model.md, as it stands but for the path."""
    folder = write_foreign(tmp_path / "a model")
    page = (ROOT / "docs" / "how_to" / "own_model.md").read_text()
    scale = next(each for each in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "scale: continued" in each)
    (tmp_path / "conf" / "scale").mkdir(parents=True)
    (tmp_path / "conf" / "scale" / "continued.yaml").write_text(scale)
    monkeypatch.chdir(tmp_path)
    config = typed(compose(["scale=continued", f"stages.import_model.config.path='{folder}'"]))
    stages = freeze(config)
    planned = plan_phases(stages, config.root)["phase3"]
    parameters, tokens = foreign_model("llama").num_parameters(), planned.schedule.tokens
    assert planned.flops == (6 * parameters + 6 * 2 * 32 * planned.config.context) * tokens
    (row,) = [line for line in plan_table(config, stages, stages).splitlines() if line.startswith("phase3 ")]
    assert row.endswith(f"{planned.flops:.2e}")
