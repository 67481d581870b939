"""A model and the settings of a phase → DeepSpeed's engine, its state saved, restored and checked.

`engine.start_engine` makes the engine, `step_guard.GuardedAdamW` is the optimizer in it, and `learning_rate` sets its
rate. `step_checkpoints` saves
what an interrupted phase resumes from, `checkpoints` and `optimizer_state` what one phase hands to the next, and
`logits_check` proves that what was loaded is what was saved. `distributed` has what ranks do together.
"""
