"""Programs, and on request a language model, turned into documents whose answers were executed, computed or verified.

`synthesize.run` is the stage. `programmatic.samples` makes samples with programs (problems of the environments, worked
problems, small programs, doctests), `language_model.generate.samples` with a model. `sample.filter_sample` keeps those
whose check succeeded and that have no held-out prompt. Code is executed by `sandbox.execute` alone.
"""
