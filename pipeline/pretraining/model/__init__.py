"""The shape of a Granite → a model that returns its training loss.

`model.build_model` and `model.initialize` make the Hugging Face model under µP; `model.build_training_model` wraps it
for a phase, with the loss of `cross_entropy`, which never holds all logits, and sequences divided over ranks where the
phase says so (`sequence_parallel`).
"""
