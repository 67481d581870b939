"""Pages and problems turned into samples that a language model writes, each kept only after a check by a program.

`generate.samples` is the entry point. `prompts` says what is asked, `seeds` about which documents; `rollouts` sends the
requests of one seed through `pipeline.language_model`; `checks` and `code_checks` turn completions into samples.
"""
