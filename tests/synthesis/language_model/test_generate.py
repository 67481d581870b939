"""The stage with a language model: the same samples from any server, paid for once, within the budget."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pipeline.core.config import build
from pipeline.core.errors import DataError, RecipeError, Requeue
from pipeline.core.files import read_json
from pipeline.curation.text.documents import read_folder, read_rows
from pipeline.environments import split_of
from pipeline.synthesis import synthesize
from pipeline.synthesis.config import LanguageModelConfig
from pipeline.synthesis.language_model import generate
from pipeline.synthesis.language_model.prompt_templates import SAMPLE_DOMAINS
from tests import ROOT
from tests.curation.recipe_files import hashes
from tests.settings import language_model_settings
from tests.synthesis.language_model.conftest import Context
from tests.synthesis.language_model.model import answer, write_prompts
from tests.synthesis.language_model.server import BAD, MODEL, ChatServer, serving


def badly(number: int) -> tuple[str, ...]:
    """Two failures before every third request is answered, each time others."""
    return (BAD[number % len(BAD)], BAD[(number + 3) % len(BAD)]) if number % 3 == 0 else ()


def test_a_bad_server_gives_what_a_good_one_gives(tmp_path: Path, context_of: Context) -> None:
    prompts = write_prompts(tmp_path / "prompts")
    outputs = []
    for name, behavior in (("good", lambda number: ()), ("bad", badly)):
        with serving(ChatServer(answer, behavior)) as server:
            # On a busy machine a good reply may take longer than that, and is asked for again like a bad one.
            context = context_of(server, prompts, name, timeout_seconds=2.0, retries=50)
            result = synthesize.run(context)
        outputs.append(context.output)
    assert hashes(outputs[0]) == hashes(outputs[1])
    report = read_json(outputs[0] / "report.json")
    for domain in SAMPLE_DOMAINS:
        for step in report[domain]["steps"]:
            assert step["in"] == step["kept"] + step["removed"]
    assert result.counts is not None
    assert result.counts["in"] == result.counts["kept"] + result.counts["removed"]
    disclosed = {row["name"]: row for row in read_json(outputs[0] / "disclosure.json")}
    assert disclosed["fivephase long_cot: chain_of_thought"]["source"] == MODEL
    made = [
        generate.prompt_of(document)
        for domain in SAMPLE_DOMAINS
        for document in read_folder(outputs[0] / "documents" / domain)
    ]
    assert {name: made.count(name) for name in ("rephrase", "question_answers")} == {
        "rephrase": 8,
        "question_answers": 8,
    }
    assert made.count("chain_of_thought") > 5
    assert made.count("code_with_tests") > 3
    reasons = {
        row["reason"]
        for domain in SAMPLE_DOMAINS
        for row in read_rows(outputs[0] / "removed" / domain / "00000.jsonl.gz")
    }
    assert {"speaks_of_the_task", "raised_AssertionError"} <= reasons
    assert any(reason.startswith("verifier_says") for reason in reasons)
    assert all(
        split_of(document.text.partition("Question: ")[2].partition("\n")[0]) == "train"
        for document in read_folder(outputs[0] / "documents" / "long_cot")
        if generate.prompt_of(document) is not None
    )


def test_nothing_is_asked_twice(tmp_path: Path, context_of: Context) -> None:
    prompts = write_prompts(tmp_path / "prompts")
    cache = str(tmp_path / "cache")
    with serving(ChatServer(answer)) as server:
        first = context_of(server, prompts, "first", cache=cache)
        before = list(generate.samples(first))
        asked = server.answered
        assert max(server.attempts.values()) == 1
        # Another run with another limit: the replies are judged anew, and not paid for anew.
        write_prompts(prompts, ("rephrase",), maximum_length=0.2, minimum_length=0.1)
        second = list(generate.samples(context_of(server, prompts, "second", cache=cache)))
    assert server.answered == asked
    assert sum(sample.failure == "too_long" for sample in second) == 8
    assert len(before) == len(second)
    # Without any server.
    assert len(list(generate.samples(context_of(server, prompts, "third", cache=cache)))) == len(before)


@pytest.mark.parametrize("limit", [0, 999, 5_000, 20_000])
def test_the_budget_holds(tmp_path: Path, context_of: Context, limit: int) -> None:
    prompts = write_prompts(tmp_path / "prompts", ("chain_of_thought", "rephrase"), sampling={"maximum_tokens": 900})
    with serving(ChatServer(answer)) as server:
        server.tokens = 850
        context = context_of(server, prompts, maximum_tokens=max(limit, 1))
        samples = list(generate.samples(context))
    assert len(samples) == 28
    assert server.answered * 850 <= limit
    unasked = sum(sample.failure == "token_budget" for sample in samples)
    assert unasked == 28 - server.answered
    # What could still be afforded was asked.
    assert unasked == 0 or server.answered * 850 + 900 > limit
    assert generate.request_metrics(context)["language_model/tokens"] == server.answered * 850


def test_replies_cut_short_or_empty_are_not_kept(tmp_path: Path, context_of: Context) -> None:
    prompts = write_prompts(tmp_path / "prompts", ("rephrase",))
    with serving(ChatServer(answer)) as server:
        server.finish_reason = "length"
        samples = list(generate.samples(context_of(server, prompts)))
    assert {sample.failure for sample in samples} == {"cut_short"}
    with serving(ChatServer(lambda prompt: "<think>nothing comes to mind</think> ")) as server:
        samples = list(generate.samples(context_of(server, prompts, "empty")))
    assert {sample.failure for sample in samples} == {"empty_reply"}


def test_a_stop_keeps_the_replies(tmp_path: Path, context_of: Context) -> None:
    prompts = write_prompts(tmp_path / "prompts", ("rephrase",))
    with serving(ChatServer(answer)) as server:
        context = context_of(server, prompts, concurrency=1)

        def stop_after_three(prompt: str) -> str:
            context.stop.raised = server.answered >= 2
            return answer(prompt)

        server.answer = stop_after_three
        with pytest.raises(Requeue):
            list(generate.samples(context))
        assert server.answered == 3
        context.stop.raised = False
        server.answer = answer
        assert [sample.failure for sample in generate.samples(context)] == [None] * 8
    assert server.answered == 8


@pytest.mark.slow
@pytest.mark.exhaustive
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="kills a process")
def test_killed_and_run_again_gives_the_same_bytes_and_pays_once(tmp_path: Path) -> None:
    prompts = write_prompts(tmp_path / "prompts")
    script = tmp_path / "program.py"
    script.write_text(
        "import sys; from pathlib import Path\n"
        "from pipeline.core.context import StageContext; from pipeline.synthesis import synthesize\n"
        "from tests.synthesis.language_model.conftest import corpus, small\n"
        "url, prompts, folder = sys.argv[1:]\n"
        f"config = small(url=url, model={MODEL!r}, prompts=prompts, cache=folder + '-cache', concurrency=2)\n"
        "inputs = {'corpus': corpus(Path(folder + '-corpus'))}\n"
        "synthesize.run(StageContext.for_test('synthesize', config, inputs, Path(folder)))\n"
    )

    def start(server: ChatServer, name: str) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        command = [sys.executable, str(script), server.url, str(prompts), str(tmp_path / name)]
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    with serving(ChatServer(answer)) as server:
        assert start(server, "whole").wait() == 0
        paid = server.answered
        server.answered = 0
        server.delay_seconds = 0.05
        for step in (5, 20, 40):
            process = start(server, "killed")
            while server.answered < step and process.poll() is None:
                time.sleep(0.005)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
        assert start(server, "killed").wait() == 0
    assert hashes(tmp_path / "killed" / "partial") == hashes(tmp_path / "whole" / "partial")
    # Requests under way at a kill are asked again: two at a time, three times.
    assert paid <= server.answered <= paid + 6


def nobody(**changes: Any) -> LanguageModelConfig:
    """Settings whose server is never asked."""
    settings = language_model_settings(url="http://localhost:1/v1", model="m", **changes)
    return build(LanguageModelConfig, settings, "language_model")


def test_what_is_wrong_is_said_before_anything_is_asked(tmp_path: Path, context_of: Context) -> None:
    folder = write_prompts(tmp_path / "prompts", ("rephrase",))
    config = nobody(prompts=str(folder))
    assert list(config.load()) == ["rephrase"]
    for change, said in (
        ({"kind": "rephrased"}, "did you mean rephrase"),
        ({"prompt": "no page"}, "put ['page']"),
        ({"prompt": "{page} {other}"}, "put ['page']"),
        ({"prompt": "{page} {"}, "write {{ for a brace"),
        ({"domain": "math"}, "domain is math"),
        ({"count": 0}, "count=0: set it above 0"),
        ({"minimum_word": 3}, "did you mean minimum_words"),
    ):
        write_prompts(folder, ("rephrase",), **change)
        with pytest.raises(RecipeError) as error:
            config.load()
        assert said in str(error.value)
        assert "rephrase.yaml" in str(error.value)
    write_prompts(folder, ("rephrase",), pages="books")
    with pytest.raises(DataError, match="books: no documents"):
        list(generate.samples(context_of(ChatServer(answer), folder)))
    with pytest.raises(RecipeError, match="set prompts to a folder"):
        nobody(prompts=str(tmp_path / "none")).load()


def test_the_shipped_prompts_are_good() -> None:
    config = nobody()
    assert set(config.load()) == {"rephrase", "question_answers", "chain_of_thought", "code_with_tests"}
    smoke = nobody(prompts="data_recipes/language_model_smoke")
    assert set(smoke.load()) == {"short_answers"}
