"""The model of a phase, a new Granite under µP or a checkpoint's, and the loss that a training step needs."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import GraniteConfig, GraniteMoeConfig, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING

from pipeline.core.errors import CheckpointError, ConfigError
from pipeline.pretraining.config import PhaseConfig
from pipeline.pretraining.data.stream import IGNORE_INDEX
from pipeline.pretraining.model.architecture import experts_of, has_sliding_window, logits_divisor, shape_of
from pipeline.pretraining.model.cross_entropy import LinearCrossEntropy
from pipeline.pretraining.model.sequence_parallel import SequenceParallel
from pipeline.pretraining.model_config import ModelConfig


def granite_config(model: ModelConfig, context: int, rope_theta: float) -> GraniteConfig | GraniteMoeConfig:
    """The Hugging Face configuration of a model's shape: dense, or with experts where the shape has some.

    Args:
        model: the shape.
        context: longest sequence in tokens.
        rope_theta: base of the rotary position embedding.
    """
    kind, experts = GraniteConfig, {}
    if model.experts:
        kind, experts = GraniteMoeConfig, {
            "num_local_experts": model.experts,
            "num_experts_per_tok": model.experts_per_token,
            "router_aux_loss_coef": model.router_loss,
        }  # fmt: skip
    return kind(
        vocab_size=model.vocab_size,
        hidden_size=model.hidden_size,
        intermediate_size=model.mlp_hidden_size,
        num_hidden_layers=model.layers,
        num_attention_heads=model.attention_heads,
        num_key_value_heads=model.key_value_heads,
        max_position_embeddings=context,
        initializer_range=model.initializer_std,
        rms_norm_eps=model.rms_norm_epsilon,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": rope_theta},
        embedding_multiplier=model.embedding_multiplier,
        residual_multiplier=model.residual_multiplier,
        attention_multiplier=model.attention_multiplier or 1 / model.head_size,
        logits_scaling=model.logits_scaling or model.width_multiplier,
        **experts,
    )


def continued_config(phase: PhaseConfig, found: PreTrainedConfig, where: str) -> tuple[PhaseConfig, PreTrainedConfig]:
    """What a phase that takes its model's shape from a checkpoint trains: its settings and the model's, completed.

    Args:
        phase: settings whose `model` is null.
        found: configuration of the checkpoint.
        where: the checkpoint, to name in errors.

    Raises:
        CheckpointError: for an architecture that phases cannot train.
        ConfigError: for a context beyond the checkpoint's without `rope_theta`, or settings that its shape rules out.
    """
    config: Any = copy.deepcopy(found)
    with torch.device("meta"):
        parameters = sum(each.numel() for each in build_model(config).parameters())
    shape, theta, reach = shape_of(config, parameters, where), phase.rope_theta, config.max_position_embeddings
    if theta is not None:
        config.rope_parameters = {**config.rope_parameters, "rope_theta": theta}
        config.max_position_embeddings = max(reach, phase.context)
    elif phase.context > reach:
        raise ConfigError(f"context is {phase.context:,}, but {where} reaches {reach:,}; set rope_theta, or less")
    if phase.sequence_parallel > 1 and has_sliding_window(config):
        raise ConfigError(f"sequence_parallel: {where} has sliding windows, which cannot be divided; set it to 1")
    try:
        return replace(phase, model=shape), config
    except ValueError as error:
        raise ConfigError(str(error)) from None


def build_model(config: PreTrainedConfig) -> PreTrainedModel:
    """The Hugging Face model of a configuration, on the CPU in fp32; `initialize` or a checkpoint gives its weights."""
    of_configuration: Any = MODEL_FOR_CAUSAL_LM_MAPPING
    return of_configuration[type(config)](config)


def set_rotary_embedding(model: PreTrainedModel, config: PreTrainedConfig) -> None:
    """Gives a model the rotary position embedding of a configuration: its base and longest sequence."""
    decoder: Any = model.get_decoder()
    decoder.rotary_emb = type(decoder.rotary_emb)(config).to(next(model.parameters()).device)


def initialize(model: PreTrainedModel, shape: ModelConfig, seed: int) -> None:
    """Fills a model's weights in place as µP asks for: embeddings N(0, std²), matrices N(0, std²/m_width), norms 1.

    Source: Granite 3.0 report, table 2. Parameters are filled in their order, from one generator.

    Args:
        model: on any device; the numbers depend on the kind of device.
        shape: whose `initializer_std` and `width_multiplier`, m_width, count.
        seed: of the generator.
    """
    generator = torch.Generator(next(model.parameters()).device).manual_seed(seed)
    matrix_std = shape.initializer_std / math.sqrt(shape.width_multiplier)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                parameter.fill_(1.0)
            else:
                std = shape.initializer_std if "embed_tokens" in name else matrix_std
                parameter.normal_(0.0, std, generator=generator)


def check_shape(found: PreTrainedConfig, shape: ModelConfig, where: str) -> None:
    """Rejects a checkpoint of another shape.

    Args:
        found: configuration of the checkpoint.
        shape: what the phase's settings say.
        where: the checkpoint, to name in the error.

    Raises:
        CheckpointError: naming the first value that differs.
    """
    wanted = granite_config(shape, 1, 1.0)
    for name in (
        "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "embedding_multiplier", "residual_multiplier", "attention_multiplier",
        "logits_scaling", "num_local_experts", "num_experts_per_tok",
    ):  # fmt: skip
        has, wants = getattr(found, name, 0), getattr(wanted, name, 0)
        if has != wants:
            raise CheckpointError(f"{where}: {name} is {has}, model says {wants}; set model to the checkpoint's shape")


def tile_mlps(model: PreTrainedModel, tiles: int) -> None:
    """Makes every MLP take sequences in `tiles` parts, so that only one part's activations are in memory at a time.

    DeepSpeed's TiledMLP computes them again in the backward pass, part by part.
    """
    from deepspeed.runtime.sequence_parallel.ulysses_sp import TiledMLP

    def tiled(mlp: nn.Module) -> Callable[[Tensor], Tensor]:
        untiled = mlp.forward
        parameters = list(mlp.parameters())
        return lambda hidden: TiledMLP.apply(lambda _, part: untiled(part), mlp, hidden, tiles, parameters)

    decoder: Any = model.get_decoder()
    for layer in decoder.layers:
        layer.mlp.forward = tiled(layer.mlp)


def balance_loss(
    router_logits: Sequence[Tensor], labels: Tensor, experts_per_token: int, parallel: SequenceParallel | None
) -> Tensor:
    """The term that keeps experts equally busy, of each sequence by itself, summed over sequences; a scalar in fp32.

    Of a sequence it is the product of the share of choices and the mean probability of each expert, summed and times
    their number (Fedus et al. 2021, arXiv 2101.03961, equations 4 to 6), over all layers together as in transformers. A
    product of means over a micro-batch, and its gradient, would depend on which sequences share one; DeepSeek-V2 takes
    means over a sequence as well (arXiv 2405.04434, equation 23). A sequence counts by its number of labels, as it does
    in the loss. Where sequences are divided it is a collective of the group, and each rank's value is its part.

    Args:
        router_logits: of each layer, shape (sequences · context, experts).
        labels: int64 of shape (sequences, context).
        experts_per_token: experts that a token passes.
        parallel: the group that divides sequences, if any.
    """
    sequences, context = labels.shape
    experts = router_logits[0].shape[-1]
    chosen = labels.new_zeros(sequences, experts, dtype=torch.float32)
    probability = torch.zeros_like(chosen)
    for logits in router_logits:
        of_sequences = logits.view(sequences, context, experts)
        choices = of_sequences.topk(experts_per_token).indices.flatten(1)
        chosen.scatter_add_(1, choices, torch.ones_like(choices, dtype=torch.float32))
        probability = probability + of_sequences.float().softmax(dim=-1).sum(dim=1)
    labeled = (labels != IGNORE_INDEX).sum(dim=1, keepdim=True).float()
    rows = context * len(router_logits)
    if parallel is not None:
        chosen, labeled = parallel.sum_over_group(chosen), parallel.sum_over_group(labeled)
        rows *= parallel.size
    return experts * (labeled * (chosen / rows) * (probability / rows)).sum()


class TrainingModel(nn.Module):
    """A causal language model that returns its loss instead of logits."""

    def __init__(
        self,
        model: PreTrainedModel,
        chunk_tokens: int,
        z_loss: float = 0.0,
        sequence_parallel: SequenceParallel | None = None,
    ) -> None:
        """Wraps a model and replaces the forward pass of its output layer.

        Args:
            model: that is wrapped, and changed.
            chunk_tokens: tokens whose logits are in memory at a time.
            z_loss: weight of the loss's second term, see `LinearCrossEntropy`.
            sequence_parallel: where sequences are divided over ranks.
        """
        super().__init__()
        self.model = model
        self.sequence_parallel = sequence_parallel
        if sequence_parallel is not None:
            sequence_parallel.install(model.config)
        head: Any = model.get_output_embeddings()

        def logits_or_loss(hidden: Tensor, labels: Tensor | None = None) -> Any:
            if labels is None:
                return functional.linear(hidden, head.weight)
            return LinearCrossEntropy.apply(hidden, head.weight, labels, chunk_tokens, z_loss)

        # Inside the layer's own call, since ZeRO-3 has its weight there only.
        head.forward = logits_or_loss

    def forward(self, tokens: Tensor, positions: Tensor, labels: Tensor | None = None) -> Any:
        """The loss of next tokens, or their logits; a collective where sequences are divided, and under ZeRO-3.

        Args:
            tokens: ids, int64 of shape (sequences, context), or this rank's slice of it where sequences are divided.
            positions: inside the document, of the same shape; they restart at 0, and attention does not reach back
                beyond that.
            labels: next tokens, of the same shape, or `IGNORE_INDEX`; None for the logits instead.

        Returns:
            With labels, the loss summed over positions, a float32 scalar, with the experts' balance term where there
            are experts; and the cross-entropy of every position in nats, float32 of shape (sequences, context), which
            is 0 where there is no label and has no gradient. Without, logits, float32 of shape (sequences, context,
            vocabulary).
        """
        # No attention mask and no cache: transformers then bounds attention by the position ids.
        mask = None if self.sequence_parallel is None else self.sequence_parallel.attention_mask(positions)
        decoder: Any = self.model.get_decoder()
        head: Any = self.model.get_output_embeddings()
        experts = experts_of(self.model.config)
        routed = {"output_router_logits": True} if experts else {}
        outputs = decoder(input_ids=tokens, attention_mask=mask, position_ids=positions, use_cache=False, **routed)
        # Hugging Face divides the logits; what they are made of is far smaller.
        hidden = outputs.last_hidden_state / logits_divisor(self.model.config)
        if labels is None:
            return head(hidden).float()
        loss, token_losses = head(hidden.flatten(0, 1), labels.flatten())
        if experts:
            balance = balance_loss(outputs.router_logits, labels, experts.per_token, self.sequence_parallel)
            loss = loss + experts.router_loss * balance
        return loss, token_losses.view_as(labels)


def build_training_model(model: PreTrainedModel, phase: PhaseConfig) -> TrainingModel:
    """The model as a phase trains it, changed in place; a collective where sequences are divided.

    Activations are recomputed, MLPs tiled, layers compiled and sequences divided as the phase's settings say.
    """
    parallel = SequenceParallel(phase.sequence_parallel) if phase.sequence_parallel > 1 else None
    training_model = TrainingModel(model, phase.loss_chunk_tokens, phase.z_loss, parallel)
    if phase.gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    if phase.mlp_tiles > 1:
        tile_mlps(model, phase.mlp_tiles)
    if phase.compile:
        decoder: Any = model.get_decoder()
        for layer in decoder.layers:
            layer.compile()
    return training_model
