"""Reinforcement learning: problems and a chat model → a chat model with more reward, by GRPO.

`train.run` is the stage, of which the pipeline has four in a row; `prompts` mixes a stage's problems and `rewards`
rewards completions, by an environment's verifier or by the reward model.
"""
