"""Evaluation: a checkpoint and held-out tokens → `evaluation.json`, metrics of that one model.

`evaluate.run` is the stage. It measures what its configuration asks for: the loss on held-out documents (`loss`), the
loss far into long documents (`long_documents`), the retrieval of a needle from a haystack (`needle`), and the accuracy
of a chat model's answers (`accuracy`).
"""
