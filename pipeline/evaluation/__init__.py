"""Evaluation: a checkpoint and held-out tokens → `evaluation.json`, metrics of that one model, and `samples.jsonl`.

`evaluate.run` is the stage. It measures what its configuration asks for: the loss on held-out documents (`loss`), the
loss far into long documents (`long_documents`), the retrieval of a needle from a haystack (`needle`), and the accuracy
of a chat model's answers (`accuracy`), with what answers earn that need no model (`floors`). Answers are written
(`answers`), compared with those of the checkpoint before (`comparison`) and held to what may be lost (`gates`).
"""
