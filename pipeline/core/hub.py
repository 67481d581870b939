"""What went wrong with the Hugging Face hub, in words that say what to do.

`huggingface_hub` and `datasets` raise one another's errors in layers, and what the outermost says need not be what
happened: a server that does not answer comes as a file that is not in the cache.
"""

import os
from pathlib import Path

LOG_IN = "log in to an account that may read it (`hf auth login`, or HF_TOKEN=<token>)"


def hub_trouble(error: BaseException, name: str, revision: str | None) -> str:
    """Why something of the hub could not be had, and the remedy on the hub's side, without naming what was asked for.

    Args:
        error: what `huggingface_hub` or `datasets` raised.
        name: `owner/name` of the repository, `datasets/owner/name` of a data set: its page on the hub.
        revision: of it; None where none was given.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    raised = _layers(error)
    status = next((each.response.status_code for each in raised if isinstance(each, HfHubHTTPError)), None)

    def seen(*kinds: type[BaseException]) -> bool:
        return any(isinstance(each, kinds) for each in raised)

    # `datasets` also raises a ConnectionError that does not know where it came from.
    if seen(OfflineModeIsEnabled) or (constants.is_offline_mode() and seen(ConnectionError)):
        return "not in this machine's cache, and HF_HUB_OFFLINE is set; set HF_HUB_OFFLINE=0 to download it"
    if seen(GatedRepoError):
        page = f"{constants.ENDPOINT}/{name}"
        if status == 403:
            return f"its owner has not let this account in yet; ask for access on {page}"
        return f"its owner asks readers to accept terms; accept them on {page}, then {LOG_IN}"
    if seen(RevisionNotFoundError):
        return f"the hub has no revision {revision} of it; set revision to a commit that its page shows under History"
    if seen(RepositoryNotFoundError):
        return f"the hub shows no such repository to this machine; correct the name, or, if it is private, {LOG_IN}"
    if status == 401:
        return f"the hub does not accept the token of this machine; {LOG_IN}"
    if status == 429:
        return f"the hub asks for fewer requests; try again later, or {LOG_IN}"
    if status is not None and status >= 500:
        return f"{constants.ENDPOINT} answers with {status}; try again later"
    # httpx, which huggingface_hub brings along, has other names for what Python calls a ConnectionError.
    if any(isinstance(each, ConnectionError | TimeoutError) or _is_of_network(each) for each in raised):
        variable = "HF_ENDPOINT" if os.environ.get("HF_ENDPOINT") else "the network"
        return f"{constants.ENDPOINT} does not answer; check {variable}, or try again later"
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def dataset_trouble(error: Exception, dataset: str, revision: str | None) -> str:
    """As `hub_trouble`, of what `datasets` raised on opening or reading a data set, which may be a local folder."""
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub import hf_hub_download

    if Path(dataset).is_dir():
        return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    # It cuts its errors off from those of the hub, so that what the hub said is asked for again.
    if isinstance(error, DatasetNotFoundError):
        try:
            hf_hub_download(dataset, "README.md", repo_type="dataset", revision=revision)
        except Exception as said:
            error = said
    return hub_trouble(error, f"datasets/{dataset}", revision)


def _is_of_network(error: BaseException) -> bool:
    kind = type(error)
    return kind.__module__.startswith("httpx") and kind.__name__ in ("ConnectError", "ConnectTimeout", "ReadTimeout")


def _layers(error: BaseException) -> list[BaseException]:
    """An error and those that it came from, the outermost first."""
    found: list[BaseException] = []
    seen: BaseException | None = error
    while seen is not None and seen not in found:
        found.append(seen)
        seen = seen.__cause__ or seen.__context__
    return found
