"""Token shards and the checkpoint before → the next checkpoint: one phase of pretraining is one stage.

`phase.run` is the stage (kind `pretrain`); it hands the loop to `trainer.Trainer`. `schedules` sets the learning rate,
`validation` measures held-out loss, `throughput` speed, `merging` merges a phase's model with the one before.
`data/` gives the sequences, `model/` the model and its loss, `engine/` DeepSpeed around it and checkpoints.
`config.PhaseConfig` has a phase's settings and `model_config.ModelConfig` the model's shape.
"""
