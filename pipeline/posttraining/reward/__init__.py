"""The reward model: preference pairs and a chat model → a model that scores completions.

`train.run` is the stage, `scoring.RewardModel` what reinforcement learning asks for rewards.
"""
