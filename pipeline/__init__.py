"""Raw pages turned into a chat model: curation, five phases of pretraining, SFT, RL, evaluation and release.

`cli` is the command `fivephase`, and `worker` one rank of one stage. Data flows through the packages in the order
environments, curation, synthesis, tokenization, pretraining, posttraining, evaluation, release; `control` freezes,
plans and launches the stages, and `core` is below all of them.
"""

__version__ = "0.1.0"
