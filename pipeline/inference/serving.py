"""An OpenAI-compatible endpoint for a chat model: transformers' own server, with nothing of ours in between."""

from pathlib import Path

from huggingface_hub.constants import HF_HUB_CACHE
from transformers.utils.import_utils import is_serve_available

from pipeline.core.errors import ConfigError
from pipeline.core.terminal import say


def serve(folder: Path, host: str, port: int) -> None:
    """Answers requests until it is ended by a signal.

    Args:
        folder: Hugging Face folder of a chat model. Requests name it in this spelling as `model`, or name none.
        host: address to listen at; `localhost` is reached from this machine alone.
        port: TCP port.

    Raises:
        ConfigError: if the packages of transformers' server are not installed.
    """
    if not is_serve_available():
        raise ConfigError("--serve: transformers' server is not installed; pip install 'transformers[serving]'")
    from transformers.cli.serve import Serve

    # Its list of models is that of the hub's cache, and fails where nothing was ever downloaded.
    Path(HF_HUB_CACHE).mkdir(parents=True, exist_ok=True)
    say(f"fivephase: http://{host}:{port}/v1 answers with the model {folder}; Ctrl-C ends it")
    Serve(force_model=str(folder), host=host, port=port)
