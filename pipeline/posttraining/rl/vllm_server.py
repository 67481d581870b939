"""Whether the vLLM server that a stage of RL samples with is there, before hours are spent on what comes before it."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from pipeline.core.errors import DataError
from pipeline.posttraining.rl.config import RlConfig

PAUSE = 2.0
"""Seconds between two questions to a server that does not answer."""
QUESTION_SECONDS = 10.0
"""Longest time that a server is waited for when it is asked once."""
FLAGS = (
    "--weight-transfer-config", '{"backend": "nccl"}', "--logprobs-mode", "processed_logprobs", "--max-logprobs", "-1",
)  # fmt: skip
"""What TRL needs of a server: to take new weights and to tell the log-probabilities of what it sampled."""


def server_command(config: RlConfig, checkpoint: Path) -> str:
    """The command that starts the server that a stage looks for, with the model that it starts from."""
    port = urlsplit(config.vllm_server_url).port or 80
    length = config.max_prompt_length + config.max_completion_length
    parts = ["vllm", "serve", str(checkpoint), "--port", str(port), "--max-model-len", str(length), *FLAGS]
    # TRL sends weights by what vLLM calls its development endpoints.
    return f"VLLM_SERVER_DEV_MODE=1 {shlex.join(parts)}"


def check_server(config: RlConfig, checkpoint: Path) -> None:
    """Waits until the server answers, and makes sure that it takes weights; rank 0 alone calls it.

    Args:
        config: of the stage, with the server's address and how long to wait.
        checkpoint: that the stage starts from, to name in the command.

    Raises:
        DataError: for a server that does not answer in time, or takes no weights, with the command that starts one.
    """
    url, begin = config.vllm_server_url, time.monotonic()
    while (fault := _fault(url)) is not None:
        left = begin + config.vllm_server_timeout - time.monotonic()
        if left <= 0:
            raise DataError(
                f"vllm_server_url={url}: no vLLM server to sample with within {config.vllm_server_timeout:g} s "
                f"({fault}); start it with `{server_command(config, checkpoint)}`, or set vllm_server_url"
            )
        time.sleep(min(PAUSE, left))
    if (answer := httpx.get(f"{url}/server_info", params={"config_format": "json"}, timeout=QUESTION_SECONDS)).is_error:
        missing = f"/server_info answers {answer.status_code}"
    elif not answer.json().get("vllm_config", {}).get("weight_transfer_config"):
        missing = "it has no weight_transfer_config"
    else:
        return
    raise DataError(
        f"vllm_server_url={url}: the server takes no weights of a trainer ({missing}); start it with "
        f"`{server_command(config, checkpoint)}`"
    )


def _fault(url: str) -> str | None:
    """Why a server cannot be asked now; None if it can."""
    try:
        status = httpx.get(f"{url}/health", timeout=QUESTION_SECONDS).status_code
    except httpx.HTTPError as error:
        return " ".join(str(error).split()) or type(error).__name__
    return None if status == httpx.codes.OK else f"/health answers {status}"
