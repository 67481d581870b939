"""Finds text of evaluation sets in training text, so that benchmarks measure what a model learned and not what it saw.

`benchmarks.read_items` gives the texts of benchmark files, `ngram_index.NgramIndex` finds the n-grams of words that a
text shares with them. On that stand the recipe step `decontaminate` (`filters/decontamination.py`) for documents, and
`prompts.PromptIndex` for the prompts of SFT and RL. `held_prompts.HeldPrompts` finds what got in all the same: prompts
of an evaluation that training texts hold.
"""
