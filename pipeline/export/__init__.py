"""A trained model as other runtimes take it: GGUF for llama.cpp, FP8 for vLLM, ONNX for ONNX Runtime.

`export.export_model` is what `fivephase export` calls. `source` finds the model and the run behind it, `held_out` the
texts that its loss is measured on, one module for each format writes and measures it, and `card` says what came out.
Signature and bill of materials are those of `pipeline.release`.
"""
