"""Settings that all tests share."""

import os

# Nothing is downloaded, and nothing is sent.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ.setdefault("WANDB_SILENT", "true")
