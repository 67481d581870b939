"""FP8 for vLLM: 8-bit weights with a scale a row, activations scaled a token at a time as they come."""

from pathlib import Path
from typing import Any

import torch

from pipeline.core.extras import require
from pipeline.core.files import read_json, write_json
from pipeline.inference.loading import load_model

PRESET = "FP8_DYNAMIC"
UNTOUCHED = ["lm_head"]
"""Layers that keep their precision: the output, which is the embedding where the two are tied."""


def write_fp8(source: Path, folder: Path) -> None:
    """Writes a Hugging Face folder's weights in compressed-tensors' preset FP8_DYNAMIC.

    Everything else of the folder is there already; the configuration keeps what the source's says.

    Args:
        source: the folder to convert.
        folder: where to write.

    Raises:
        UserError: if compressed-tensors is missing.
        CheckpointError: if the folder cannot be loaded.
    """
    require("fp8", "compressed_tensors")
    # An extra.
    import compressed_tensors.quantization as quantization  # pyright: ignore[reportMissingImports]
    from compressed_tensors import ModelCompressor  # pyright: ignore[reportMissingImports]
    from compressed_tensors.quantization.utils import calculate_qparams  # pyright: ignore[reportMissingImports]

    model: Any = load_model(source).model
    scheme = quantization.preset_name_to_scheme(PRESET, ["Linear"])
    settings = quantization.QuantizationConfig(config_groups={"group_0": scheme}, ignore=UNTOUCHED)
    quantization.apply_quantization_config(model, settings)
    with torch.no_grad():
        for module in model.modules():
            if hasattr(module, "weight_scale"):
                lowest, highest = module.weight.aminmax(dim=1, keepdim=True)
                scale, _ = calculate_qparams(lowest, highest, module.quantization_scheme.weights)
                module.weight_scale.copy_(scale)
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    original = read_json(folder / "config.json")
    model.save_pretrained(folder)
    compressor.update_config(str(folder))
    written = read_json(folder / "config.json")
    # transformers renames keys to those of its own version at every save, which other readers do not know.
    write_json(folder / "config.json", {**original, "quantization_config": written["quantization_config"]})
