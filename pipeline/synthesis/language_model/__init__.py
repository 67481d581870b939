"""Samples that a language model writes, kept only after a check that is not its own opinion.

`prompts` (what is asked) → `seeds` (about what) → `rollouts` (through `endpoint` and `replies`) → `checks` → samples.
"""
