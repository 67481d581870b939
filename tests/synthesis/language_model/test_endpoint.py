"""A server may be slow, full, broken, cut short or wrong: what may pass is tried again, what cannot is said."""

from pathlib import Path

import pytest

from pipeline.core.errors import ConfigError, DataError
from pipeline.language_model.client import MINIMUM_REQUESTS_JUDGED
from pipeline.synthesis.language_model import generate
from pipeline.synthesis.sample import Sample
from tests.synthesis.language_model.conftest import Context
from tests.synthesis.language_model.model import answer, write_prompts
from tests.synthesis.language_model.server import BAD, ChatServer, serving

ONE = ("question_answers",)


def ask(context_of: Context, server: ChatServer, prompts: Path, **changes: object) -> list[Sample]:
    """The samples of a stage."""
    return list(generate.samples(context_of(server, prompts, **changes)))


@pytest.mark.parametrize("wrong", BAD)
def test_what_may_pass_is_tried_again(tmp_path: Path, context_of: Context, wrong: str) -> None:
    prompts = write_prompts(tmp_path / "prompts", ONE)
    with serving(ChatServer(answer, lambda number: (wrong,) if number % 4 == 0 else ())) as server:
        patience = {"timeout_seconds": 5.0, "retries": 50} if wrong == "slow" else {}
        samples = ask(context_of, server, prompts, **patience)
    assert [sample.failure for sample in samples] == [None] * 8
    attempts = sorted(server.attempts.values())
    if wrong == "slow":
        # On a busy machine a good reply may take longer than that as well.
        assert len(attempts) == 8
        assert attempts[-2] >= 2
    else:
        assert attempts == [1] * 6 + [2] * 2
        assert server.answered == 8


def test_one_request_that_fails_for_good_is_one_row(tmp_path: Path, context_of: Context) -> None:
    prompts = write_prompts(tmp_path / "prompts", ONE)
    with serving(ChatServer(answer, lambda number: ("400",) * 9 if number == 0 else ())) as server:
        samples = ask(context_of, server, prompts, maximum_failed_share=0.2)
    assert sorted(sample.failure or "" for sample in samples) == [""] * 7 + ["request_http_400"]
    assert max(server.attempts.values()) == 1


def test_a_reply_without_end_is_not_read_to_its_end(tmp_path: Path, context_of: Context) -> None:
    prompts = write_prompts(tmp_path / "prompts", ONE)
    with serving(ChatServer(answer, lambda number: ("huge",) * 9 if number == 0 else ())) as server:
        samples = ask(context_of, server, prompts, maximum_failed_share=0.2)
    assert sum(sample.failure == "request_reply_too_large" for sample in samples) == 1


def test_a_server_that_always_fails_ends_the_stage(tmp_path: Path, context_of: Context) -> None:
    prompts = write_prompts(tmp_path / "prompts", ("chain_of_thought",), count=400)
    with serving(ChatServer(answer, lambda number: ("500",) * 9)) as server, pytest.raises(DataError) as error:
        ask(context_of, server, prompts, retries=1)
    assert "maximum_failed_share=0.05" in str(error.value)
    # It ends soon, not after all 400.
    assert len(server.attempts) < 3 * MINIMUM_REQUESTS_JUDGED


def test_few_failures_among_few_requests_count_at_the_end(tmp_path: Path, context_of: Context) -> None:
    prompts = write_prompts(tmp_path / "prompts", ONE)
    with (
        serving(ChatServer(answer, lambda number: ("500",) * 9 if number == 0 else ())) as server,
        pytest.raises(DataError, match="1 of 8 requests failed"),
    ):
        ask(context_of, server, prompts, retries=0)


def test_no_server_at_all(tmp_path: Path, context_of: Context) -> None:
    prompts = write_prompts(tmp_path / "prompts", ONE)
    server = ChatServer(answer)
    server.server_close()
    with pytest.raises(DataError, match=r"no answer .*start a server"):
        ask(context_of, server, prompts)


def test_a_model_that_is_not_served(tmp_path: Path, context_of: Context) -> None:
    prompts = write_prompts(tmp_path / "prompts", ONE)
    with serving(ChatServer(answer)) as server, pytest.raises(ConfigError, match="did you mean test-model"):
        ask(context_of, server, prompts, model="test-modell")


def test_the_key_comes_from_the_environment_and_stays_out_of_files(
    tmp_path: Path, context_of: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = write_prompts(tmp_path / "prompts", ONE)
    with serving(ChatServer(answer)) as server:
        server.key = "a-secret-key"
        with pytest.raises(ConfigError, match="refuses the key"):
            ask(context_of, server, prompts)
        with pytest.raises(ConfigError, match="TEST_KEY: not in the environment"):
            ask(context_of, server, prompts, api_key_variable="TEST_KEY")
        monkeypatch.setenv("TEST_KEY", server.key)
        assert len(ask(context_of, server, prompts, api_key_variable="TEST_KEY")) == 8
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or server.key.encode() not in path.read_bytes()
