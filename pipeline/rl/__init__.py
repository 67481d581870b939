"""Reinforcement learning: the reward model and the four GRPO stages."""
