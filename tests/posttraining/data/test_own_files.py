"""Files of one's own: shapes of other tools are read, the rules hold for them, errors name file and row."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from pipeline.core.context import StageContext
from pipeline.core.errors import ConfigError, DataError
from pipeline.environments import split_of
from pipeline.posttraining.data.jsonl import read_jsonl
from pipeline.posttraining.data.own_files import own_conversations
from pipeline.posttraining.data.sft_data import run
from pipeline.posttraining.data.shapes import ShapeError, read_conversation, read_documents, read_preference
from tests.curation.recipe_files import write_lines
from tests.posttraining.tiny import data_config

ASKED = [{"role": "user", "content": "How warm is it?"}, {"role": "assistant", "content": "Warm."}]
CALL = {"name": "weather", "arguments": '{"city": "Rome"}'}
CALLED = [{"type": "function", "function": CALL}]


def write_rows(path: Path, rows: Sequence[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize(
    "row",
    [
        {"messages": ASKED},
        {"messages": [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in ASKED], "id": 7},
        {"conversations": [{"from": "human", "value": "How warm is it?"}, {"from": "gpt", "value": "Warm."}]},
        {"instruction": "How warm is it?", "input": "", "output": "Warm."},
        {"prompt": "How warm is it?", "completion": "Warm."},
        {"prompt": ASKED[:1], "completion": ASKED[1:]},
    ],
)
def test_shapes_of_conversations(row: dict[str, Any]) -> None:
    assert read_conversation(row) == (ASKED, "")


def test_system_prompts_and_inputs_find_their_place() -> None:
    row = {"system": "Be short.", "instruction": "Sum up.", "input": "A b c.", "output": "A."}
    assert [each["content"] for each in read_conversation(row)[0]] == ["Be short.", "Sum up.\n\nA b c.", "A."]
    named = {"messages": [{"role": "developer", "content": "Be short."}, *ASKED]}
    assert read_conversation(named)[0][0] == {"role": "system", "content": "Be short."}


@pytest.mark.parametrize(
    "turns",
    [
        [{"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": CALL}]},
         {"role": "tool", "tool_call_id": "1", "content": "31"}],
        [{"role": "assistant", "content": None, "function_call": CALL}, {"role": "function", "content": "31"}],
        [{"from": "function_call", "value": json.dumps({"name": "weather", "arguments": {"city": "Rome"}})},
         {"from": "observation", "value": "31"}],
    ],
)  # fmt: skip
def test_tool_calls_have_one_form(turns: list[dict[str, Any]]) -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    messages, kept = read_conversation({"messages": [ASKED[0], *turns, ASKED[1]], "tools": json.dumps(tools)})
    assert messages[1:3] == [
        {"role": "assistant", "content": "", "tool_calls": CALLED},
        {"role": "tool", "content": "31"},
    ]
    assert json.loads(kept) == tools


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"text": "Hi"}, "no conversation among text"),
        ({"messages": "Hi"}, "no list of objects"),
        ({"messages": [{"role": "narrator", "content": "Hi"}]}, "narrator"),
        ({"messages": [{"role": "user", "content": 7}]}, "int and not text"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "not text"),
        ({"messages": [{**ASKED[1], "reasoning_content": "Hm."}]}, "would not be trained on"),
        ({"messages": [{**ASKED[1], "weight": 0}]}, "weight 0"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": "{}"}}]}]}, "no name"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "a", "arguments": "{"}}]}]}, "JSON"),
    ],
)
def test_what_cannot_be_used_says_why(row: dict[str, Any], why: str) -> None:
    with pytest.raises(ShapeError, match=why):
        read_conversation(row)


def test_questions_with_calls_and_documents_are_read() -> None:
    tools = [{"name": "weather", "parameters": {"city": {"type": "str"}}}]
    row = {"query": ASKED[0]["content"], "answers": json.dumps([{"name": "weather", "arguments": {"city": "Rome"}}])}
    messages, kept = read_conversation({**row, "tools": json.dumps(tools)})
    assert messages == [ASKED[0], {"role": "assistant", "content": "", "tool_calls": CALLED}]
    assert json.loads(kept) == tools
    for given, read in (
        ("[1] A page.", [{"doc_id": 1, "text": "[1] A page."}]),
        (["One.", "Two."], [{"doc_id": 1, "text": "One."}, {"doc_id": 2, "text": "Two."}]),
        (json.dumps([{"title": "T", "text": "One."}]), [{"title": "T", "text": "One."}]),
    ):
        assert json.loads(read_documents({"documents": given})) == read
    assert read_documents({"documents": " "}) == read_documents({}) == ""
    with pytest.raises(ShapeError, match="documents is no list"):
        read_documents({"documents": 7})


def test_shapes_of_preferences() -> None:
    prompt, good, bad = ASKED[:1], ASKED[1:], [{"role": "assistant", "content": "No."}]
    for row in (
        {"prompt": "How warm is it?", "chosen": "Warm.", "rejected": "No."},
        {"prompt": prompt, "chosen": good, "rejected": bad},
        {"chosen": prompt + good, "rejected": prompt + bad},
        {"prompt": "How warm is it?", "chosen": prompt + good, "rejected": prompt + bad, "score_chosen": 9.0},
        {"conversations": [{"from": "human", "value": "How warm is it?"}],
         "chosen": {"from": "gpt", "value": "Warm."}, "rejected": {"from": "gpt", "value": "No."}},
    ):  # fmt: skip
        assert read_preference(row) == (prompt, good, bad)
    for row, why in (
        ({"prompt": "Hi", "chosen": "Hello."}, "no rejected"),
        ({"chosen": "a", "rejected": "b"}, "no prompt"),
        ({"prompt": "Hi", "chosen": ASKED, "rejected": "b"}, "not one turn"),
    ):
        with pytest.raises(ShapeError, match=why):
            read_preference(row)


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    rows = [{"messages": ASKED}, {"messages": [*ASKED, *ASKED]}]
    jsonl = Path(write_rows(tmp_path / "a.jsonl", rows))
    with gzip.open(tmp_path / "b.jsonl.gz", "wb") as file:
        file.write(jsonl.read_bytes())
    (tmp_path / "c.json").write_text(json.dumps(rows))
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "d.parquet")
    folder = tmp_path / "dataset"
    folder.mkdir()
    (folder / "train.jsonl").write_bytes(jsonl.read_bytes())
    for each in ("a.jsonl", "b.jsonl.gz", "c.json", "d.parquet"):
        read = own_conversations(data_config(files=[str(tmp_path / each)]).files, [])
        assert [conversation.messages for conversation in read] == [row["messages"] for row in rows], each
    hub = data_config(files=[{"dataset": str(folder)}])
    assert [conversation.messages for conversation in own_conversations(hub.files, [])] == [
        row["messages"] for row in rows
    ]
    before = hub.data_fingerprint()
    (folder / "train.jsonl").write_text(json.dumps(rows[0]) + "\n")
    assert hub.data_fingerprint() != before
    with pytest.raises(ConfigError, match="set revision to its commit"):
        data_config(files=[{"dataset": "owner/name", "revision": "main"}])


def test_errors_name_file_row_and_remedy(tmp_path: Path) -> None:
    path = tmp_path / "own.jsonl"
    config = data_config(files=[str(path)])
    with pytest.raises(DataError, match=r"own\.jsonl: no such file"):
        config.data_fingerprint()
    for text, why in (
        ('\n\n{"a": 1}\n', r"own\.jsonl: row 3: no conversation among a; set"),
        ('\n{"mess', r"own\.jsonl: row 2: cannot be read"),
        ("[1]\n", r"own\.jsonl: row 1: not a JSON object"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=why):
            config.check_data()
    with pytest.raises(ConfigError, match=r"files\.0: path is own\.csv, set a file named \.jsonl"):
        data_config(files=["own.csv"])
    with pytest.raises(ConfigError, match=r"files is empty and recipes is null, set one"):
        data_config(conversations=0, recipes=None)
    with pytest.raises(DataError, match=r"recipes=data_recipes/posttraining/smoke: no source of conversations is left"):
        data_config(conversations=0).check_data()
    write_rows(path, [{"messages": ASKED}])
    with pytest.raises(DataError, match="of 1 different first questions"):
        data_config(files=[str(path)], conversations=0).check_data()


def asked(number: int) -> list[dict[str, Any]]:
    return [
        {"role": "user", "content": f"Question {number}?"},
        {"role": "assistant", "content": f"Answer {number}\u200b."},
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": "So."},
    ]


def test_the_stage_takes_own_rows_beside_and_instead_of_built_in_ones(tmp_path: Path, tokenizer: Path) -> None:
    broken = [{"role": "assistant", "content": "Alone."}]
    rows = [{"messages": each} for each in [*map(asked, range(40)), asked(0), broken]]
    called = [*ASKED[:1], {"role": "assistant", "content": None, "tool_calls": CALLED}]
    while split_of(called[0]["content"]) == "held_out":
        called = [{"role": "user", "content": called[0]["content"] + "?"}, called[1]]
    rows.append({"messages": called, "tools": [{"name": "weather"}]})
    own = write_rows(tmp_path / "own.jsonl", rows)
    pairs = write_rows(
        tmp_path / "pairs.jsonl",
        [{"prompt": f"Question {n}?", "chosen": "Yes.", "rejected": "No."} for n in [*range(30), 3]]
        + [{"prompt": "Same?", "chosen": "Yes.", "rejected": "Yes."}],
    )
    benchmark = write_lines(tmp_path / "benchmark.jsonl", ["question 7"])
    setting = {"benchmarks": [{"name": "planted", "path": str(benchmark), "text_keys": ["text"]}]}
    setting |= {"n_grams": 8, "minimum_coverage": 0.5}
    built_in = data_config()
    results, folders = {}, {}
    for name, config in {
        "built-in": built_in,
        "beside": data_config(files=[own], preference_files=[pairs]),
        "instead": data_config(
            conversations=0, files=[own], decontamination=setting,
            preference_pairs=0, preference_validation_pairs=0, preference_files=[pairs],
        ),
    }.items():  # fmt: skip
        config.check_data()
        results[name] = run(StageContext.for_test("sft_data", config, {"tokenizer": tokenizer}, tmp_path / name))
        folders[name] = tmp_path / name / "partial"

    def rows_of(name: str, file: str) -> list[dict[str, Any]]:
        return read_jsonl(folders[name] / f"{file}.jsonl")

    for file in ("train", "validation", "preference_train", "preference_validation"):
        first = rows_of("built-in", file)
        assert rows_of("beside", file)[: len(first)] == first, "one's own rows come after the built-in ones"
    train, validation = rows_of("instead", "train"), rows_of("instead", "validation")
    assert {row["source"] for row in [*train, *validation]} == {own}
    questions = {
        split: {row["messages"][0]["content"] for row in kept}
        for split, kept in (("train", train), ("held_out", validation))
    }
    for split, kept in questions.items():
        assert kept
        assert {split_of(each) for each in kept} == {split}
    assert len(train) + len(validation) == 40  # of 40 and a call one copies the benchmark, two more are no use
    assert train[0]["messages"][1]["content"].endswith(("0.", "1.", "2.")), "invisible characters are removed"
    assert [row["step"] for row in rows_of("instead", "removed")] == ["decontamination", "schema", "exact_dedup"]
    assert len(rows_of("instead", "repaired")) == 40, "the one that comes twice, twice"
    assert json.loads(next(row for row in train if "tools" in row)["tools"]) == [{"name": "weather"}]
    assert {row["step"] for row in rows_of("instead", "preference_removed")} == {
        "decontamination", "exact_dedup", "preference",
    }  # fmt: skip
    kept_pairs = [*rows_of("instead", "preference_train"), *rows_of("instead", "preference_validation")]
    assert len(kept_pairs) == 29
    assert all(split_of(row["prompt"][0]["content"]) == "train" for row in rows_of("instead", "preference_train"))
    assert results["instead"].counts == {"in": 43, "kept": 40, "removed": 3}
    assert (tmp_path / "built-in" / "partial" / "preference_removed.jsonl").exists() is False


def test_the_content_of_files_is_in_the_fingerprint_and_their_place_is_not(tmp_path: Path) -> None:
    assert set(data_config().data_fingerprint()) == {"benchmarks", "recipes"}
    paths = [write_rows(tmp_path / folder / "own.jsonl", [{"messages": ASKED}]) for folder in _folders(tmp_path)]
    first, second = (data_config(files=[path]).data_fingerprint() for path in paths)
    assert first == second
    write_rows(Path(paths[0]), [{"messages": [*ASKED, *ASKED]}])
    assert data_config(files=[paths[0]]).data_fingerprint() != first


def _folders(below: Path) -> list[str]:
    for name in ("a", "b"):
        (below / name).mkdir()
    return ["a", "b"]


def test_preferences_are_held_out_by_their_first_question(tmp_path: Path, tokenizer: Path) -> None:
    prompt = [*ASKED, {"role": "user", "content": "And tomorrow?"}]
    known = {"kind": "unsafe", "language": "de", "note": "seen"}
    path = write_rows(tmp_path / "pairs.jsonl", [{"prompt": prompt, "chosen": "Cold.", "rejected": "Hm.", **known}])
    none = {"preference_pairs": 0, "preference_validation_pairs": 0}
    run(
        StageContext.for_test(
            "sft_data", data_config(preference_files=[path], **none), {"tokenizer": tokenizer}, tmp_path / "stage"
        )
    )
    folder = tmp_path / "stage" / "partial"
    split = "validation" if split_of("How warm is it?") == "held_out" else "train"
    (pair,) = read_jsonl(folder / f"preference_{split}.jsonl")
    assert (pair["kind"], pair["language"]) == ("unsafe", "de")
    assert "note" not in pair
    assert (pair["prompt"], read_jsonl(folder / "preference_removed.jsonl")) == (prompt, [])
