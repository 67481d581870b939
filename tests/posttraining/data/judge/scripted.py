"""A judge on this machine that says what it is told to: a real server, whose verdicts a test writes."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline.core.config import build
from pipeline.posttraining.data.judge.config import DIMENSIONS, FLAGS, JudgeConfig
from tests.settings import judge_settings
from tests.synthesis.language_model.server import MODEL, ChatServer, serving

Script = Callable[[str], dict[str, Any] | str]
"""What is shown to the judge of a conversation → a verdict without its id, or a reply as it is."""


def verdict(score: int = 5, *flags: str, **scores: int) -> dict[str, Any]:
    """A verdict with one score for all dimensions but those that are given."""
    return {
        "scores": {name: {"score": scores.get(name, score), "reason": "as scripted"} for name in DIMENSIONS},
        "flags": {name: {"found": name in flags, "evidence": "quoted" if name in flags else ""} for name in FLAGS},
    }


def identity(shown: str) -> str:
    """The id that a conversation is marked with."""
    return re.findall(r"=== conversation (\w+) ===", shown)[0]


@contextmanager
def scripted_judge(script: Script, **more: Any) -> Iterator[ChatServer]:
    """Serves the script; a reply to a repair is asked for with all messages, joined."""

    def answer(text: str) -> str:
        found = script(text)
        return found if isinstance(found, str) else json.dumps({"id": identity(text), **found})

    server = ChatServer(answer, **more)
    server.shown = lambda request: "\n".join(each["content"] for each in request["messages"][1:])
    with serving(server):
        yield server


def judge_config(server: ChatServer, folder: Path, **changes: Any) -> JudgeConfig:
    """Settings of a judge on the server, with a cache of its own."""
    endpoint = {
        "url": server.url, "model": MODEL, "cache": str(folder / "replies"), "timeout_seconds": 60.0,
        "backoff_seconds": 0.01, "concurrency": 8, **changes.pop("endpoint", {}),
    }  # fmt: skip
    return build(JudgeConfig, judge_settings(endpoint=endpoint, **changes), "judge")
