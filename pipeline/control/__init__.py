"""The control plane: a configuration turned into frozen stages, which are planned, launched, reported and traced.

It runs in one process and imports neither torch nor a trainer. `compose.compose` and `compose.typed` make the
configuration, `run.freeze` the stages with their fingerprints, `planning.plan_table` says what they would do,
`local_launcher.launch` starts the ranks of one, `report.summary` shows how they went, and `tracing.trace_table` which
documents a training step saw.
"""
