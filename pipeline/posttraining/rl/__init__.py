"""Reinforcement learning: problems and a chat model → a chat model with more reward, by GRPO.

`train.run` is the stage, of which the pipeline has four in a row; `prompts` mixes a stage's problems, and
`trl_adapter` brings the rewards of `common.rewards` to TRL.
"""
