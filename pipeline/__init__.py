"""Five-phase pretraining and post-training of language models, from raw pages to a chat model."""

__version__ = "0.1.0"
