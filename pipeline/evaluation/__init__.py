"""Evaluation: a checkpoint → `evaluation.json`, metrics of that one model, and `samples.jsonl`.

`evaluate.run` is the stage, `standalone` the command on any model. Both measure the `parts` that their settings have:
the loss on held-out documents (`loss`), the loss and retrieval far into long ones (`long_context`), bits per byte
(`text`), generated tasks (`probes`), the accuracy of a chat model's answers (`accuracy`) with what answers earn that
need no model (`floors`), and tasks of lm-evaluation-harness (`harness`). A part is a function of a `bench`, which
divides its work over ranks and keeps what is finished. Answers are written (`answers`), compared with those of the
checkpoint before (`comparison`) and held to what may be lost (`gates`). `contamination_search` looks their prompts up
in what the model was trained on (`training_texts`), and `contamination` is what it found.
"""
