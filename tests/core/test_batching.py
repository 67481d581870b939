from typing import Any

import pytest

from pipeline.core.batching import micro_batches_per_step
from pipeline.core.errors import ConfigError


def test_a_step_is_divided_evenly_or_not_at_all() -> None:
    keys: dict[str, Any] = {"step_key": "per_step", "micro_batch_key": "per_rank"}
    assert micro_batches_per_step(per_step=48, micro_batch=2, sharers=6, **keys) == 4
    message = "per_step=50 is no multiple of per_rank=2 × 6 groups; set per_step to a multiple of 12"
    with pytest.raises(ConfigError, match=message):
        micro_batches_per_step(per_step=50, micro_batch=2, sharers=6, unit="groups", **keys)
