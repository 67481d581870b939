"""Supervised fine-tuning: conversations, their curation and training; what all later trainers share."""
