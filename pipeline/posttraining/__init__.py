"""Post-training: a base model → a chat model.

`data` makes conversations and preference pairs and curates them, `sft` fine-tunes on the conversations, `reward`
trains a reward model on the pairs, and `rl` reinforces what verifiers and the reward model reward. Each has a stage's
`run`, and `common` what their trainers share.
"""
