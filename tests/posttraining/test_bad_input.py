"""Input of one's own that cannot be used: named with row and field, refused or set aside before anything trains."""

import json
import shlex
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from pipeline.core.config import ResourcesConfig
from pipeline.core.context import StageContext
from pipeline.core.errors import CheckpointError, ConfigError, DataError
from pipeline.environments import split_of
from pipeline.inference.chat_template import check_assistant_mask
from pipeline.posttraining.common.data_files import SetAside
from pipeline.posttraining.data.jsonl import read_jsonl
from pipeline.posttraining.data.sft_data import run
from pipeline.posttraining.rl.planned import plan_rl
from pipeline.posttraining.rl.prompts import training_problems
from pipeline.posttraining.rl.vllm_server import check_server, server_command
from tests.posttraining.tiny import data_config, rl_config

USER, REPLY = {"role": "user", "content": "How warm is it?"}, {"role": "assistant", "content": "Warm."}
CALL = {"role": "assistant", "tool_calls": [{"function": {"name": "weather", "arguments": '{"city": '}}]}
CONVERSATIONS: list[tuple[Any, str]] = [
    ({"messages": [USER]}, "messages has no turn of the assistant"),
    ({"conversations": [{"from": "human", "value": "Hi"}]}, "conversations has no turn of the assistant"),
    ({"messages": [USER, {**REPLY, "content": 7}]}, "messages, turn 2: a content is int"),
    ({"messages": [USER, {**REPLY, "role": "narrator"}]}, "messages, turn 2: a message's role is 'narrator'"),
    ({"messages": [USER, REPLY], "tools": "[{"}, "tools: text that is no JSON"),
    ({"messages": [USER, REPLY], "tools": {"name": "weather"}}, "tools is no list"),
    ({"messages": [USER, CALL, REPLY]}, "messages, turn 2: the arguments of the call of weather: text that is no JSON"),
    ('{"messages": [{"role": "us', "cannot be read"),
    ('{"messages": NaN}', "cannot be read"),
    (b'{"messages": "\xff"}', "cannot be read"),
    ([1], "not a JSON object"),
    ("[" * 2000 + "]" * 2000, "cannot be read"),
]
PREFERENCES: list[tuple[Any, str]] = [
    ({"prompt": "Hi", "chosen": "Hello."}, "no rejected among prompt, chosen"),
    ({"prompt": "Hi", "chosen": "Hello.", "rejected": 4}, "rejected is no list of objects"),
]
PROMPTS: list[tuple[Any, str]] = [
    ({"answer": "2"}, "no prompt among answer"),
    ({"prompt": "1 + 1?", "answer": "two", "verifier": "number"}, "'two' is no number"),
    ({"prompt": "1 + 1?", "answer": "2", "verifier": "own_rewards:nothing"}, "gave None and no Verdict"),
    ({"prompt": "1 + 1?", "answer": "2", "verifier": "own_rewards:nan"}, "no Verdict with a score from 0 to 1"),
    ({"prompt": "1 + 1?", "answer": "2", "verifier": "own_rewards:text"}, "no Verdict with a score from 0 to 1"),
    ({"prompt": "1 + 1?", "spec": "{", "answer": "2", "verifier": "number"}, "spec is text that is no JSON"),
]
OWN_REWARDS = """
from pipeline.environments.problem import Environment, Problem, Verdict

def nothing(problem, completion):
    return None

def nan(problem, completion):
    return Verdict(float("nan"), "none")

def text(problem, completion):
    return Verdict("1.0", "one")

def generate(draw, config):
    return Problem("own", f"Say {draw.random()}.", "a", "a", {})

ENVIRONMENT = Environment("own", generate, nan)
"""


def write(path: Path, rows: list[Any]) -> str:
    """Writes a row a line: text and bytes as they are, all else as JSON."""
    lines = [
        row if isinstance(row, bytes) else (row if isinstance(row, str) else json.dumps(row)).encode() for row in rows
    ]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return str(path)


def good_conversations(count: int) -> list[dict[str, Any]]:
    return [{"messages": [{**USER, "content": f"Question {each}?"}, REPLY]} for each in range(count)]


def good_prompts(count: int) -> list[dict[str, Any]]:
    return [{"prompt": f"{each} + 1?", "answer": each + 1, "verifier": "number"} for each in range(count)]


def rl_of(files: Any, **changes: Any) -> Any:
    return rl_config(prompt_files=[files], domain_weights={}, prompts=40, prompts_per_step=8, **changes)


@pytest.fixture(scope="module")
def rewards_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests: a module is imported once in a process."""
    folder = tmp_path_factory.mktemp("rewards")
    (folder / "own_rewards.py").write_text(OWN_REWARDS)
    return folder


@pytest.fixture
def own_rewards(rewards_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Works in the folder that has the module `own_rewards`."""
    monkeypatch.chdir(rewards_folder)


@pytest.mark.parametrize(("row", "why"), CONVERSATIONS)
def test_a_conversation_is_refused_by_row_and_field(row: Any, why: str, tmp_path: Path) -> None:
    path = write(tmp_path / "own.jsonl", [*good_conversations(3), row])
    with pytest.raises(DataError) as refused:
        data_config(files=[path]).check_data()
    said = str(refused.value)
    assert said.startswith(f"{path}: row 4: {why}")
    assert "on_bad_row: set_aside" in said
    assert "\n" not in said


@pytest.mark.parametrize(("row", "why"), PREFERENCES)
def test_a_preference_is_refused_by_row_and_field(row: Any, why: str, tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.jsonl", [row])
    with pytest.raises(DataError) as refused:
        data_config(preference_files=[path]).check_data()
    assert str(refused.value).startswith(f"{path}: row 1: {why}")


@pytest.mark.parametrize(("row", "why"), PROMPTS)
def test_a_prompt_is_refused_by_row_and_field(row: Any, why: str, own_rewards: None, tmp_path: Path) -> None:
    path = write(tmp_path / "prompts.jsonl", [*good_prompts(2), row])
    with pytest.raises(DataError) as refused:
        rl_of(path).check_data()
    assert str(refused.value).startswith(f"{path}: row 3: ")
    assert why in str(refused.value)


def test_bad_rows_are_set_aside_counted_and_told(tmp_path: Path, tokenizer: Path) -> None:
    bad = [row for row, _ in CONVERSATIONS]
    own = {"path": write(tmp_path / "own.jsonl", [*good_conversations(40), *bad]), "on_bad_row": "set_aside"}
    pairs = {"path": write(tmp_path / "pairs.jsonl", [row for row, _ in PREFERENCES]), "on_bad_row": "set_aside"}
    config = data_config(conversations=0, files=[own], preference_files=[pairs])
    told = config.check_data()
    assert told[0].startswith(f"{own['path']}: {len(bad)} rows set aside, the first is row 41: messages has no turn")
    assert len(told) == 2
    result = run(StageContext.for_test("sft_data", config, {"tokenizer": tokenizer}, tmp_path / "stage"))
    assert result.metrics["rows_set_aside"] == len(bad) + len(PREFERENCES)
    quarantine = read_jsonl(tmp_path / "stage" / "partial" / "quarantine.jsonl")
    assert [(row["file"], row["row"]) for row in quarantine] == [
        *((pairs["path"], number) for number in (1, 2)),
        *((own["path"], number) for number in range(41, 41 + len(bad))),
    ]
    whys = [why for _, why in (*PREFERENCES, *CONVERSATIONS)]
    assert all(row["reason"].startswith(why) for row, why in zip(quarantine, whys, strict=True))
    assert result.counts is not None
    assert result.counts["in"] == 40 + len(bad)
    # The same rows alone make the same stage: what is set aside changes nothing else.
    clean = data_config(conversations=0, files=[write(tmp_path / "own.jsonl", good_conversations(40))])
    run(StageContext.for_test("sft_data", clean, {"tokenizer": tokenizer}, tmp_path / "clean"))
    for split in ("train", "validation"):
        rows = [read_jsonl(tmp_path / folder / "partial" / f"{split}.jsonl") for folder in ("stage", "clean")]
        assert rows[0] == rows[1]


def test_a_prompt_longer_than_the_context_is_named_before_training(checkpoint: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    text = next(text for each in range(99) if split_of(text := f"{each} " + "and one more " * 60) == "train")
    path = write(tmp_path / "prompts.jsonl", [*good_prompts(40), {**good_prompts(1)[0], "prompt": text}])
    with pytest.raises(DataError, match=r"row 41: prompt: \d+ tokens, longer than max_prompt_length=64"):
        training_problems(rl_of(path, max_prompt_length=64), 0, tokenizer)
    aside: SetAside = []
    file = {"path": path, "on_bad_row": "set_aside"}
    found = training_problems(rl_of(file, max_prompt_length=64), 0, tokenizer, aside)
    assert [(row["file"], row["row"]) for row in aside] == [(path, 41)]
    assert len(found) == 40
    assert text.strip() not in {problem.prompt for problem in found}


def test_a_reward_that_is_no_number_is_found_by_the_plan(own_rewards: None) -> None:
    config = rl_config(domain_weights={"own_rewards:ENVIRONMENT": 1}, vllm=None, completions_per_device=16)
    with pytest.raises(ConfigError, match=r"domain_weights\.own_rewards:ENVIRONMENT: .*score=nan.* no Verdict with"):
        plan_rl(config, ResourcesConfig(), {})


def test_a_template_that_masks_nothing_is_refused(checkpoint: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    check_assistant_mask(tokenizer, "here")
    tokenizer.chat_template = "{% for each in messages %}{{ each.content }}{{ eos_token }}{% endfor %}"
    with pytest.raises(CheckpointError, match="here: its chat template marks nothing to train on"):
        check_assistant_mask(tokenizer, "here")


class Server(BaseHTTPRequestHandler):
    """A vLLM server as far as the check asks it; `answers` says what it gives at which path."""

    answers: dict[str, Any]

    def do_GET(self) -> None:
        found = self.answers.get(self.path.partition("?")[0])
        self.send_response(404 if found is None else 200)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing of requests."""


@pytest.fixture
def server() -> Iterator[str]:
    """The address of a server without answers."""
    Server.answers = {}
    served = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=served.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{served.server_port}"
    served.shutdown()
    served.server_close()


def test_a_server_that_is_down_or_takes_no_weights(server: str, tmp_path: Path) -> None:
    config = rl_config(vllm="server", vllm_server_url=server, vllm_server_timeout=0.001)
    with pytest.raises(DataError, match=r"no vLLM server .*/health answers 404.*VLLM_SERVER_DEV_MODE=1 vllm serve"):
        check_server(config, tmp_path)
    Server.answers = {"/health": {}}
    with pytest.raises(DataError, match=r"takes no weights of a trainer \(/server_info answers 404\)"):
        check_server(config, tmp_path)
    Server.answers["/server_info"] = {"vllm_config": {"weight_transfer_config": None}}
    with pytest.raises(DataError, match="has no weight_transfer_config"):
        check_server(config, tmp_path)
    Server.answers["/server_info"] = {"vllm_config": {"weight_transfer_config": {"backend": "nccl"}}}
    check_server(config, tmp_path)
    nobody = rl_config(vllm="server", vllm_server_url="http://127.0.0.1:9", vllm_server_timeout=0.001)
    with pytest.raises(DataError, match=r"vllm_server_url=http://127\.0\.0\.1:9: .*refused"):
        check_server(nobody, tmp_path)
    with pytest.raises(ConfigError, match="vllm_server_url='gpu7:8000'"):
        rl_config(vllm_server_url="gpu7:8000")


def test_the_command_that_is_named_gives_what_trl_asks_of_a_server(tmp_path: Path) -> None:
    """TRL's own command line has the flags that its trainers need; ours has them too, as `trl vllm-serve` is to go."""
    from trl.scripts.vllm_serve import ScriptArguments, build_command

    imposed = build_command(ScriptArguments(model=str(tmp_path)))
    imposed = imposed[imposed.index("--weight-transfer-config") :]
    ours = shlex.split(server_command(rl_config(vllm_server_url="http://gpu7:8001"), tmp_path))
    assert ours[-len(imposed) :] == imposed
    assert ours[:6] == ["VLLM_SERVER_DEV_MODE=1", "vllm", "serve", str(tmp_path), "--port", "8001"]
