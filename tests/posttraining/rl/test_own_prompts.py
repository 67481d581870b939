"""Prompts of one's own: rows become problems that verifiers grade, are split and mixed; errors name file and row."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from transformers import AutoTokenizer

from pipeline.core.errors import ConfigError, DataError
from pipeline.environments import split_of, verify
from pipeline.environments.problem import Problem
from pipeline.environments.registry import check_problem
from pipeline.posttraining.common.data_files import PromptFile, SetAside
from pipeline.posttraining.rl.config import RlConfig
from pipeline.posttraining.rl.own_prompts import file_problems, file_rows
from pipeline.posttraining.rl.prompts import dataset_rows, held_out_problems, training_problems
from pipeline.posttraining.rl.trl_adapter import reward_function
from tests.curation.recipe_files import write_lines
from tests.posttraining.tiny import rl_config

SCHEMA = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}


def write_rows(path: Path, rows: Sequence[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def sums(count: int) -> list[dict[str, Any]]:
    return [{"prompt": f"Add {n} and 1.", "answer": n + 1, "verifier": "number"} for n in range(count)]


def config(*files: Any, **changes: Any) -> RlConfig:
    return rl_config(prompt_files=list(files), prompts_per_step=8, **{"domain_weights": {"math": 0}, **changes})


@pytest.mark.parametrize(
    ("verifier", "answer", "spec", "right", "partly", "wrong"),
    [
        ("number", "12", {}, ["It is 12.", "24/2"], [], ["13", "", "twelve"]),
        ("exact_match", "The Tiber", {}, ["the tiber.", " The  Tiber\n"], [], ["Tiber", "The Tiber and others"]),
        ("choice", "Paris", {"candidates": ["Paris", "Rome"]}, ["It is Paris."], [], ["Rome", "Paris or Rome"]),
        ("json", '{"a": [1]}', {}, ['```json\n{"a": [1]}\n```'], [], ["{}", "a", "[" * 40]),
        ("json_schema", "", {"schema": SCHEMA}, ['{"name": "Tom"}'], [], ["{}", '{"name": 7}', "", "Tom"]),
        ("json_schema", json.dumps(SCHEMA), {}, ['{"name": "Tom"}'], [], ["[]", "Tom"]),
        ("instructions", "", {"include": ["sun"], "maximum_words": 3, "ends_with": "!"}, ["Sun!"], ["The sun."], [""]),
        ("reward_model", "", {}, ["Anything."], [], ["", "..."]),
        ("math", "x^2 + 1", {}, ["\\boxed{1 + x^2}"], [], ["x"]),
        ("temporal_reasoning", "Monday", {}, [], [], [""]),
    ],
)  # fmt: skip
def test_verifiers(
    verifier: str, answer: str, spec: dict[str, Any], right: list[str], partly: list[str], wrong: list[str]
) -> None:
    problem = Problem(verifier, "?", answer, "", spec)
    if verifier != "temporal_reasoning":
        assert check_problem(problem) is None
    for texts, low, high in ((right, 1.0, 1.0), (partly, 0.2, 0.9), (wrong, 0.0, 0.0)):
        for text in texts:
            assert low <= verify(problem.to_record(), text).score <= high, text


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"answer": "2", "verifier": "number"}, "row 1: no prompt among answer, verifier; set prompt"),
        ({"prompt": "Hm?", "answer": "2"}, "row 1: no verifier; set verifier"),
        ({"prompt": "Hm?", "answer": "2", "verifier": "numbers"}, "'numbers' is none, did you mean number?"),
        ({"prompt": "Hm?", "answer": "two", "verifier": "number"}, "'two' is no number, set one"),
        ({"prompt": "Hm?", "answer": "a", "verifier": "choice"}, "spec.candidates"),
        ({"prompt": "Hm?", "answer": "{", "verifier": "json"}, "not JSON"),
        ({"prompt": "Hm?", "answer": "{", "verifier": "json_schema"}, "neither spec.schema nor answer"),
        ({"prompt": "Hm?", "spec": {"schema": {"type": "texts"}}, "verifier": "json_schema"}, "the schema is none"),
        ({"prompt": "Hm?", "spec": {"schema": {"pattern": "(a+)+"}}, "verifier": "json_schema"}, "schema has pattern"),
        ({"prompt": "Hm?", "spec": {"words": 3}, "verifier": "instructions"}, "spec has words"),
        ({"prompt": "Hm?", "spec": {"lines": "3"}, "verifier": "instructions"}, "set int"),
        ({"prompt": "Hm?", "answer": "2", "verifier": "text_to_sql"}, "cannot use its answer and spec"),
        ({"prompt": "Hm?", "answer": "2", "verifier": "no_module:grade"}, "no module no_module"),
        ({"prompt": [{"role": "assistant", "content": "Hm."}], "verifier": "number"}, "end with a turn of the user"),
        ({"prompt": "Hm?", "spec": "{", "answer": "2", "verifier": "number"}, "spec is text that is no JSON"),
    ],
)
def test_a_row_that_cannot_be_used_says_why(row: dict[str, Any], why: str, tmp_path: Path) -> None:
    path = write_rows(tmp_path / "own.jsonl", [row])
    with pytest.raises(DataError, match=why) as refused:
        config(path).check_data()
    assert str(refused.value).startswith(f"{path}: row 1: ")
    assert "\n" not in str(refused.value)


def test_prompts_are_split_mixed_and_kept_clear_of_benchmarks(checkpoint: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    path = write_rows(tmp_path / "own.jsonl", [*sums(50), *sums(3)])
    alone = config(path, prompts=64)
    alone.check_data()
    drawn = training_problems(alone, 0, tokenizer)
    assert len(drawn) == 64
    different = {problem.prompt for problem in drawn}
    assert different == {row["prompt"] for row in sums(50) if split_of(row["prompt"]) == "train"}
    assert len({problem.prompt for problem in drawn[: len(different)]}) == len(different), "again only after all"
    held_out = held_out_problems(alone)
    assert len(held_out) == alone.probe.prompts_per_domain or {split_of(p.prompt) for p in held_out} == {"held_out"}
    assert training_problems(config(path, prompts=64), 0, tokenizer) == drawn
    beside = config({"path": path, "weight": 1}, domain_weights={"math": 3}, prompts=40)
    names = [problem.environment for problem in training_problems(beside, 0, tokenizer)]
    assert all(names[start : start + 8].count("number") == 2 for start in range(0, 40, 8))
    benchmark = write_lines(tmp_path / "benchmark.jsonl", [drawn[0].prompt])
    setting = {"benchmarks": [{"name": "planted", "path": str(benchmark), "text_keys": ["text"]}]}
    setting |= {"n_grams": 8, "minimum_coverage": 0.5}
    clean = training_problems(config(path, prompts=64, decontamination=setting), 0, tokenizer)
    assert {problem.prompt for problem in clean} == different - {drawn[0].prompt}


def test_a_system_prompt_reaches_the_model_and_the_verifier(checkpoint: Path, tmp_path: Path) -> None:
    prompt = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "What is 3 + 4?"}]
    path = write_rows(tmp_path / "own.jsonl", [{"prompt": prompt, "answer": 7}, {"prompt": "3 + 5?", "answer": 8}])
    found = file_problems(PromptFile(path=path, verifier="number"))
    rows = dataset_rows(found)
    assert [row["prompt"] for row in rows] == [prompt, [{"role": "user", "content": "3 + 5?"}]]
    columns = {key: [row[key] for row in rows] for key in rows[0] if key != "prompt"}
    reward = reward_function("number", end_token=9)
    replies = [[{"role": "assistant", "content": text}] for text in ("It is 7.", "7")]
    assert reward(replies, [[1, 9], [1, 9]], **columns) == [1.0, 0.0]


def test_too_few_rows_and_the_fingerprint(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "own.jsonl", sums(5))
    with pytest.raises(DataError, match=r"different prompts to train on and \d held out.*a step takes 8"):
        config(path).check_data()
    with pytest.raises(ConfigError, match="domain_weights gives no domain any weight"):
        config()
    assert set(config(domain_weights={"math": 1}).data_fingerprint()) == {"benchmarks"}
    first = config(path).data_fingerprint()
    assert config({"path": path, "weight": 2}).data_fingerprint() != first
    write_rows(Path(path), sums(6))
    assert config(path).data_fingerprint() != first


def test_a_verifier_of_ones_own_grades_and_is_in_the_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_grading.py").write_text(
        "from pipeline.environments.problem import RIGHT, WRONG\n"
        "def is_reversed(problem, completion):\n"
        "    return RIGHT if completion.strip() == problem.answer[::-1] else WRONG\n"
    )
    monkeypatch.chdir(tmp_path)
    path = write_rows(tmp_path / "own.jsonl", [{**row, "answer": "ab"} for row in sums(40)])
    own = config({"path": path, "verifier": "own_grading:is_reversed"})
    with pytest.raises(DataError, match="'ab' is no number"):
        own.data_fingerprint()
    path = write_rows(tmp_path / "own.jsonl", [{"prompt": row["prompt"], "answer": "ab"} for row in sums(40)])
    own.check_data()
    assert set(own.data_fingerprint()["environments"]) == {"own_grading:is_reversed"}
    problem = file_problems(own.prompt_files[0])[0]
    assert [verify(problem, text).score for text in ("ba", "ab")] == [1.0, 0.0]
    assert dataclasses.asdict(own)["prompt_files"][0]["verifier"] == "own_grading:is_reversed"


def write_recipe(tmp_path: Path, **source: Any) -> str:
    """A recipe of prompts with one source of JSON lines, `rows.jsonl`."""
    disclosure = {
        "name": "Rows", "url": "https://example.com", "date_obtained": "2026-11", "description": "Test",
        "source": "Example", "data_provenance": "written for a test",
    }  # fmt: skip
    source = {"kind": "jsonl", "path": str(tmp_path / "rows.jsonl"), "disclosure": disclosure, **source}
    recipe = {"domain": "math", "description": "Test", "licence": "MIT", "languages": ["en"], "sources": [source]}
    path = tmp_path / "math.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return str(path)


def test_a_recipe_gives_prompts_and_sets_aside_what_it_cannot_read(tmp_path: Path) -> None:
    rows = [{"question": f"Add {n} and 1.", "answer": f"{n} + 1 = {n + 1}\n#### {n + 1}"} for n in range(40)]
    write_rows(tmp_path / "rows.jsonl", [*rows, {"question": "Add.", "answer": "No mark."}, {"answer": "#### 7"}])
    with (tmp_path / "rows.jsonl").open("a") as file:
        file.write('{"question": "Add 40 a')
    path = write_recipe(tmp_path, answer_after="####", verifier="math")
    file = PromptFile(recipe=path)
    aside: SetAside = []
    problems = [problem for _, problem in file_rows(file, None, aside)]
    assert [problem.answer for problem in problems] == [str(n + 1) for n in range(40)]
    assert verify(problems[3], "It is 4.").score == 1.0
    reasons = {row["row"]: row["reason"].partition(" among")[0] for row in aside}
    assert reasons == {41: "no_answer_mark", 42: "no prompt", 43: "not_json"}
    settings = config({"recipe": path})
    (said,) = settings.check_data()
    assert said.startswith(f"{path}: 3 rows set aside, the first is {tmp_path / 'rows.jsonl'}: row 41: no_answer_mark")
    before = settings.data_fingerprint()
    write_rows(tmp_path / "rows.jsonl", rows[:30])
    assert settings.data_fingerprint() != before
    write_recipe(tmp_path)
    with pytest.raises(DataError, match="Rows names no verifier, set verifier of the source"):
        config({"recipe": path}).data_fingerprint()
    with pytest.raises(ConfigError, match="set one of recipe, path and dataset"):
        config({"recipe": path, "path": "a.jsonl"})


def test_columns_are_mapped_by_paths_and_choices_are_asked(tmp_path: Path) -> None:
    nested = {"problem": "What is 2 + 2?", "reward": {"truth": "4"}, "limits": {"most": 3}}
    write_rows(tmp_path / "rows.jsonl", [nested])
    columns = {"problem": "prompt", "reward.truth": "answer", "limits": "spec.limits"}
    (problem,) = file_problems(PromptFile(recipe=write_recipe(tmp_path, columns=columns, verifier="number")))
    assert (problem.prompt, problem.answer, problem.spec) == ("What is 2 + 2?", "4", {"limits": {"most": 3}})
    choices = {"text": ["A fish", "A bird"], "label": ["A", "B"]}
    write_rows(tmp_path / "rows.jsonl", [{"question": "What flies?", "choices": choices, "answerKey": "B"}])
    (problem,) = file_problems(PromptFile(recipe=write_recipe(tmp_path, verifier="choice")))
    assert problem.prompt == "What flies?\nA. A fish\nB. A bird\nAnswer with the letter alone."
    assert [verify(problem, each).score for each in ("B", "A", "A or B")] == [1.0, 0.0, 0.0]
