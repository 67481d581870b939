"""The tests, which mirror `pipeline/`."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The checkout that is tested."""
