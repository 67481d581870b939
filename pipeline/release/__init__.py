"""The final Hugging Face folder, its model card, and the proof that it stands alone."""
