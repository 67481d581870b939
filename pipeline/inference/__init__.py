"""Running a trained model: what post-training and evaluation share.

A checkpoint folder → a model and its tokenizer on this rank's device (`loading.load_model`). Problems → that model's
completions, each with the verifier's verdict (`completions.complete_problems`). Conversations → padded token ids by
the tokenizer's chat template, special ones the template's alone (`conversation_ids.encode`).
"""
