"""What the optimizer is told before a step."""

from pipeline.pretraining.config import OptimizerConfig
from pipeline.pretraining.engine.learning_rate import parameter_groups, set_learning_rate
from pipeline.pretraining.model.model import build_model, granite_config
from tests.settings import model_shape


def test_learning_rate_follows_mup() -> None:
    """Matrices, four times as wide as the base model's, have a quarter of the rate; embeddings and norms all of it."""
    shape = model_shape(hidden_size=64, base_width=16)
    model = build_model(granite_config(shape, 32, 10_000.0))
    groups = parameter_groups(model, shape, OptimizerConfig())
    set_learning_rate(groups, 0.4)
    assert [group["lr"] for group in groups] == [0.1, 0.4, 0.4]
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters()))
