"""Tiny random models of architectures that this package does not make, with a tokenizer of their own each."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from pipeline.environments import ENVIRONMENT_NAMES, problems
from tests.settings import EASY

BEGIN, END, PADDING = "<s>", "</s>", "<pad>"
IDS = 400
CONFIGS: dict[str, Any] = {
    "llama": LlamaConfig,
    "qwen2": Qwen2Config,
    "qwen3": Qwen3Config,
    "mistral": MistralConfig,
    "granite": GraniteConfig,
}
MARKED = (
    "{{ bos_token }}{% for message in messages %}{{ '[' ~ message.role ~ ']' }}{% if message.role == 'assistant' %}"
    "{% generation %}{{ message.content ~ eos_token }}{% endgeneration %}{% else %}{{ message.content }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '[assistant]' }}{% endif %}"
)
"""A chat template as a stranger's, with marks for training."""


def foreign_tokenizer(special: tuple[str, ...] = (BEGIN, END, PADDING), **named: Any) -> Any:
    """A byte-level tokenizer of 400 ids that begins each text with `<s>`, as Llama's does.

    Args:
        special: its special tokens, the first ids.
        named: attributes, such as chat_template; tokens of its configuration that differ from `<s>`, `</s>`, `<pad>`.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    texts = [f"{p.prompt} {p.solution}" for name in ENVIRONMENT_NAMES for p in problems(name, 20, 0, "train", EASY)]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=IDS, special_tokens=list(special), initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    first = (special[0], tokenizer.token_to_id(special[0]))
    tokenizer.post_processor = processors.TemplateProcessing(single=f"{first[0]} $A", special_tokens=[first])
    named = {"bos_token": special[0], "eos_token": END, "pad_token": PADDING, **named}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, **{key: value for key, value in named.items() if value is not None}
    )


def foreign_model(architecture: str, tied: bool = True, vocab_size: int = IDS, **changes: Any) -> Any:
    """A model of two layers with random weights, the same every time.

    Args:
        architecture: a key of `CONFIGS`.
        tied: whether embeddings and output layer share their weights.
        vocab_size: rows of both.
        changes: other settings of its configuration.
    """
    granite = {"logits_scaling": 4.0, "embedding_multiplier": 6.0, "residual_multiplier": 0.3}
    config = CONFIGS[architecture](
        vocab_size=vocab_size,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=512,
        tie_word_embeddings=tied,
        initializer_range=0.2,
        **({"attention_multiplier": 0.125, **granite} if architecture == "granite" else {}),
        **changes,
    )
    torch.manual_seed(0)
    model: Any = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    return model(config)


def write_foreign(folder: Path, architecture: str = "llama", tokenizer: Any = None, **changes: Any) -> Path:
    """Writes such a model as its authors would publish it; `changes` are those of `foreign_model`."""
    foreign_model(architecture, **changes).save_pretrained(folder)
    (tokenizer or foreign_tokenizer(chat_template=MARKED)).save_pretrained(folder)
    return folder
