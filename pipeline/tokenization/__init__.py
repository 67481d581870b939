"""Tokenizer training, and documents to token shards."""
