"""The data of post-training: settings and a seed → conversations for SFT, preference pairs for the reward model.

`sft_data.run` is the stage. `conversations` makes raw conversations with the faults that collected data has, `rules`
repairs or removes them, and `preferences` makes the pairs.
"""
