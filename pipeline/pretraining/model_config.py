"""Settings of the model: the shape of a Granite."""

from dataclasses import dataclass

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A Granite model: grouped-query attention, RoPE, SwiGLU, RMSNorm, no biases, tied embeddings.

    Dense, or with a mixture of experts in place of every SwiGLU (Granite 3.0's 1B-A400M and 3B-A800M).
    """

    vocab_size: PositiveInt
    """Token ids, the special block included."""
    hidden_size: PositiveInt
    """Width of the residual stream."""
    layers: PositiveInt
    """Transformer layers."""
    attention_heads: PositiveInt
    """Query heads; the head size is hidden_size / attention_heads."""
    key_value_heads: PositiveInt
    """Key and value heads, shared by groups of query heads."""
    mlp_hidden_size: PositiveInt
    """Width inside the SwiGLU, of each expert where there are experts."""
    experts: NonNegativeInt = 0
    """Experts of a layer; 0 is a dense model."""
    experts_per_token: NonNegativeInt = 0
    """Experts that a token passes."""
    router_loss: NonNegativeFloat = 0.001
    """Weight of the load-balancing loss (Switch Transformer, arXiv 2101.03961, eq. 4-6); transformers' default."""
    embedding_multiplier: PositiveFloat
    """Scale of the embedding output (Granite 3.0 report, table 2)."""
    residual_multiplier: PositiveFloat
    """Scale of every attention and MLP output before it joins the residual stream."""
    attention_multiplier: PositiveFloat | None = None
    """Scale of attention scores; null is µP's 1 / head size."""
    logits_scaling: PositiveFloat | None = None
    """Divisor of the logits; null is µP's width multiplier, hidden_size / base_width."""
    base_width: PositiveInt
    """Width at which µP's width multiplier is 1."""
    initializer_std: PositiveFloat
    """Standard deviation of embeddings at initialization; matrices divide it by the root of the width multiplier."""
    rms_norm_epsilon: NonNegativeFloat
    """Added to the mean square in RMSNorm."""

    def __post_init__(self) -> None:
        if self.hidden_size % self.attention_heads:
            raise ValueError(f"hidden_size {self.hidden_size} is no multiple of attention_heads {self.attention_heads}")
        if not 0 <= self.experts_per_token <= self.experts or bool(self.experts) != bool(self.experts_per_token):
            raise ValueError(
                f"experts_per_token is {self.experts_per_token} of {self.experts} experts, set 1 up to that, or both 0"
            )
        if self.attention_heads % self.key_value_heads:
            raise ValueError(
                f"attention_heads {self.attention_heads} is no multiple of key_value_heads {self.key_value_heads}"
            )
        if (self.hidden_size // self.attention_heads) % 2:
            raise ValueError("the head size hidden_size / attention_heads is odd, RoPE needs an even one")

    @property
    def head_size(self) -> int:
        """Width of one attention head: hidden_size / attention_heads."""
        return self.hidden_size // self.attention_heads

    @property
    def width_multiplier(self) -> float:
        """m_width of µP: how many times wider the model is than `base_width`."""
        return self.hidden_size / self.base_width

    @property
    def parameters(self) -> int:
        """Exact number of parameters: V·H + L(2·H·n_h·d + 2·H·n_kv·d + 3·H·I + 2·H) + H.

        With E experts 3·E·H·I + E·H takes the place of 3·H·I.
        """
        return self._parameters(max(1, self.experts))

    @property
    def active_parameters(self) -> int:
        """Parameters that a token passes: all of a dense model."""
        return self._parameters(max(1, self.experts_per_token))

    def _parameters(self, experts: int) -> int:
        width, heads = self.hidden_size, self.attention_heads * self.head_size
        attention = 2 * width * heads + 2 * width * self.key_value_heads * self.head_size
        layer = attention + 3 * experts * width * self.mlp_hidden_size + self.experts * width + 2 * width
        return self.vocab_size * width + self.layers * layer + width


@dataclass(frozen=True, kw_only=True)
class CheckpointShape(ModelConfig):
    """The shape of a checkpoint of any architecture, as its own files give it; nobody configures one.

    Multipliers are the checkpoint's business: they are in its Hugging Face configuration, and 1 here.
    """

    embedding_multiplier: float = 1.0
    residual_multiplier: float = 1.0
    base_width: int = 1
    initializer_std: float = 1.0
    rms_norm_epsilon: float = 0.0
    head_width: int
    """Width of one attention head, which need not be hidden_size / attention_heads."""
    counted: int
    """Number of parameters, tied ones counted once."""
    counted_active: int
    """Parameters that a token passes."""
    multiplier: float
    """µP's width multiplier; 1 for a model of one learning rate."""

    def __post_init__(self) -> None:
        """Checks nothing: the checkpoint exists."""

    @property
    def head_size(self) -> int:
        """Width of one attention head, as the checkpoint has it."""
        return self.head_width

    @property
    def width_multiplier(self) -> float:
        """µP's width multiplier, as the checkpoint has it."""
        return self.multiplier

    @property
    def parameters(self) -> int:
        """Parameters of the checkpoint, tied ones counted once."""
        return self.counted

    @property
    def active_parameters(self) -> int:
        """Parameters of the checkpoint that a token passes."""
        return self.counted_active
