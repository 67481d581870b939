"""Phases of pretraining: token shards and the checkpoint before → the next checkpoint."""
