"""Supervised fine-tuning: conversations of `sft_data` and a base model → a chat model, in the stage `train.run`."""
