"""Runs llama.cpp's converter: python -I llama_cpp_convert.py CONVERTER MODEL FILE TYPE [PRE-TOKENIZER].

A program of its own, to be run without this package on the path: CONVERTER has packages `conversion` and `gguf`.
"""

import sys
from pathlib import Path
from typing import Any

import torch


def main(converter: str, model: str, file: str, kind: str, pre_tokenizer: str | None = None) -> None:
    """Writes a GGUF file by the converter's own class for the model's architecture.

    Args:
        converter: folder of llama.cpp with `conversion/` and `gguf-py/`.
        model: Hugging Face folder.
        file: what to write.
        kind: number format of the weights, as the converter's option `--outtype` has it.
        pre_tokenizer: llama.cpp's name of the tokenizer's; None has the converter recognize it.
    """
    sys.path[:0] = [converter, str(Path(converter, "gguf-py"))]
    # Both come with the converter.
    import conversion  # pyright: ignore[reportMissingImports]
    import gguf  # pyright: ignore[reportMissingImports]

    types = {
        "f32": gguf.LlamaFileType.ALL_F32,
        "f16": gguf.LlamaFileType.MOSTLY_F16,
        "bf16": gguf.LlamaFileType.MOSTLY_BF16,
        "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
    }
    settings = conversion.ModelBase.load_hparams(Path(model), False)
    architecture = conversion.get_model_architecture(settings, conversion.ModelType.TEXT)
    base: Any = conversion.get_model_class(architecture)

    class Told(base):
        """The converter's class for this architecture, told how the tokenizer splits text."""

        model_arch = base.model_arch

        def get_vocab_base_pre(self, tokenizer: Any) -> str:
            return pre_tokenizer or super().get_vocab_base_pre(tokenizer)

    with torch.inference_mode():
        Told(Path(model), types[kind], Path(file)).write()


if __name__ == "__main__":
    main(*sys.argv[1:])
