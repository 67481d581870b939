"""What the trainers of SFT, the reward model and reinforcement learning share.

Settings (`config`) → TRL's arguments (`trainer_arguments`) → training that reports to the stage, stops and resumes
(`callbacks`, `checkpoints`, `training`). What a completion is worth (`rewards`), and the evaluation of a chat model by
the rewards of sampled completions (`eval_sampling`).
"""
