"""Each rule, on every type of conversation: what it removes on which evidence, what it repairs, what it leaves."""

import json
from typing import Any

import pytest

from pipeline.inference.conversation_ids import to_messages
from pipeline.posttraining.data.record import Conversation
from pipeline.posttraining.data.rules import apply_rules, form_rules, normalized, repaired
from pipeline.posttraining.data.rules.arithmetic import false_equation
from pipeline.posttraining.data.rules.code import check_code
from pipeline.posttraining.data.rules.form import check_documents, check_special_tokens, check_truncation
from pipeline.posttraining.data.rules.languages import check_language
from pipeline.posttraining.data.rules.repetition import check_repetition, most_in_a_row
from pipeline.posttraining.data.rules.tool_calls import check_tool_calls
from tests.posttraining.tiny import data_config

WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}, "wind": {"type": "bool"}},
    "required": ["city"],
    "additionalProperties": False,
}
GERMAN = "Der Regen beginnt am Abend und dauert bis zum Morgen, danach wird es sonnig und warm."


def said(reply: str, question: str = "Tell me.", **more: Any) -> Conversation:
    return Conversation(to_messages(question, reply), "file", own=True, **more)


def offered(key: str) -> str:
    """The tool without OpenAI's wrapper."""
    return json.dumps([{"name": "weather", key: WEATHER}])


def calling(name: str, arguments: Any, parameters: Any = WEATHER, tools: str | None = None) -> Conversation:
    """A conversation with a call; tools are those with the parameters, unless they are given."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    call = {"type": "function", "function": {"name": name, "arguments": text}}
    messages = [
        {"role": "user", "content": "Is it warm?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "31"},
        {"role": "assistant", "content": "Yes."},
    ]
    wrapped = json.dumps([{"type": "function", "function": {"name": "weather", "parameters": parameters}}])
    return Conversation(messages, "file", own=True, tools=wrapped if tools is None else tools)


@pytest.mark.parametrize(
    ("conversation", "reason"),
    [
        (calling("weather", {"city": "Rome"}), None),
        (calling("weather", {"city": "Rome", "days": 3, "wind": True}), None),
        (calling("wether", {"city": "Rome"}), "calls a tool that is not offered"),
        (calling("weather", {"city": "Rome"}, tools=""), "calls a tool that is not offered"),
        (calling("weather", {"city": "Rome"}, tools="[5, {}]"), "calls a tool that is not offered"),
        (calling("weather", {"city": "Rome", "town": "Rome"}), "Additional properties are not allowed"),
        (calling("weather", {}), "'city' is a required property"),
        (calling("weather", {"city": "Rome", "days": 0}), "0 is less than the minimum"),
        (calling("weather", {"city": "Rome", "wind": "strong"}), "is not of type 'bool'"),
        (calling("weather", '{"city": '), "arguments are not JSON"),
        (calling("weather", [1]), "arguments are not an object"),
        # Schemas as data sets have them: none, flat ones, tools without a wrapper, Anthropic's key.
        (calling("weather", {"city": "Rome"}, None), None),
        (calling("weather", {"city": "Rome"}, {"city": {"type": "str"}}), None),
        (calling("weather", {"city": 5}, tools=offered("parameters")), "5 is not of"),
        (calling("weather", {"city": 5}, tools=offered("input_schema")), "5 is not of"),
        # Hostile ones: a regular expression without end, a reference to a server, to itself, and too many of them.
        (calling("weather", {"city": "a" * 40}, {"properties": {"city": {"pattern": "(a+)+$b"}}}), None),
        (calling("weather", {"c" * 40: 1}, {"patternProperties": {"(c+)+x": {}}, "additionalProperties": False}), None),
        (calling("weather", {"city": 1}, {"$ref": "http://localhost:1/schema"}), "the tool's schema cannot be used"),
        (calling("weather", {"city": 1}, {"$ref": "#"}), "the tool's schema is too deep"),
        (calling("weather", {"city": 1}, {"type": "everything"}), "the tool's schema cannot be used (UnknownType)"),
        (calling("weather", {"city": 1}, {"properties": 5}), "the tool's schema cannot be used"),
        (
            calling(
                "weather",
                {"city": 1},
                {
                    "$ref": "#/$defs/0",
                    "$defs": {
                        **{str(n): {"allOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(40)},
                        "40": {"type": "object"},
                    },
                },
            ),
            "the tool's schema is too deep",
        ),
    ],
)  # fmt: skip
def test_tool_calls_are_held_against_the_tools_and_their_schemas(
    conversation: Conversation, reason: str | None
) -> None:
    found = check_tool_calls(conversation)
    assert (found is None) == (reason is None)
    if found is not None and reason is not None:
        assert found.rule == "tool_calls"
        assert reason in found.reason


def test_arguments_get_the_type_that_the_schema_wants_where_that_is_certain() -> None:
    before = calling("weather", {"city": "5", "days": "3", "wind": "true"})
    after, names = repaired(before)
    assert names == ["arguments typed"]
    arguments = json.loads(after.messages[1]["tool_calls"][0]["function"]["arguments"])
    assert arguments == {"city": "5", "days": 3, "wind": True}
    assert check_tool_calls(before) is not None
    assert check_tool_calls(after) is None
    for value in ("three", "3.5", "007", "٣", "9" * 30):
        left = calling("weather", {"city": "Rome", "days": value})
        assert repaired(left) == (left, [])


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        ("12 * 3 = 38, so there are 38.", "36"),
        ("So, $4200+$3000 = $8600 in all.", "7200"),
        ("2 + 3 × 4 = 20.", "14"),
        ("7 - 10 = 3", "-3"),
        ("1,200 + 50 = 1,350", "1250"),
        ("- 6 / 4 = 1.7", "1.5"),
        ("F = m * a = 12 * 3 = 40", "36"),
        (r"\(12 \times 3 = 38\)", None),
        (r"First $12 \times 3 = 38$.", "36"),
        # True, or rounded as it says.
        ("12 * 3 = 36.", None),
        ("10 / 3 = 3.33, or 10 / 3 = 3.", None),
        ("2 + 3 × 4 = 14", None),
        ("0.1 + 0.2 = 0.3", None),
        # Not an equation of two numbers.
        ("2x + 3 = 7 and x^2 + 1 = 5", None),
        ("2^3 + 5 = 13", None),
        ("17 + 8 = 1 mod 12 and 7 / 2 = 3 remainder 1", None),
        ("2 + 3 = 1 + 4", None),
        ("5 + 10% = 5.5", None),
        ("8 x 1 1/2 = 12 and 25 / 1/3 = 75", None),
        ("1/2 + 1/3 = 5/6", None),
        ("0900-0130 = 0730", None),
        ("The score was 3-2 = a win.", None),
        # Said to be false, or in code.
        ("It is not true that 2 + 2 = 5.", None),
        ("If 2 + 2 = 5, then I am the pope.", None),
        ("Run `2 + 2 = 5` or\n```\n2 + 2 = 5\n```\nto see.", None),
        ("In binary 1 + 1 = 10.", None),
        ("1 / 0 = 5", None),
    ],
)
def test_equations_of_numbers_are_true(reply: str, value: str | None) -> None:
    removed = apply_rules([said(reply)], data_config())[1]
    arithmetic = [row for row in removed if row["step"] == "arithmetic"]
    assert [row["threshold"] for row in arithmetic] == ([value] if value else [])


def test_hostile_sums_take_no_time() -> None:
    for text in ("1+" * 30_000, "1 + " * 15_000 + "= 5", "9" * 60_000 + " + 1 = 2", "1,000" * 12_000, "= 1 +" * 12_000):
        false_equation(text)


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        ("```python\nprint(1\n```", "'(' was never closed (line 1)"),
        ("Do:\n  ```py\n  for i in x:\n  print(i)\n  ```", "expected an indented block"),
        ("```python\nprint(1)\n```\n```python\nx = = 1\n```", "invalid syntax"),
        ("```python\n" + "(" * 5_000 + "\n```", ""),
        ("```python\nx = 1\x00\n```", ""),
        ("```python\nprint('\\d')\n```", None),
        ("1.\n   ```python\n   if x:\n       y()\n   ```", None),
        ("```python\n>>> 1 +\n```", None),
        ("```python\n%timeit x\n```", None),
        ("```js\nlet x = = 1\n```", None),
        ("```\nx = = 1\n```", None),
    ],
)
def test_python_parses(reply: str, fault: str | None) -> None:
    found = check_code(said(reply))
    assert (found is None) == (fault is None)
    if found is not None and fault is not None:
        assert fault in str(found.value)


@pytest.mark.parametrize(
    ("conversation", "found"),
    [
        (said(GERMAN, "Please answer in French."), ("de", "fr")),
        (said(GERMAN, "Write it in German."), None),
        (said(GERMAN, language="en"), ("de", "en")),
        (said(GERMAN, language="de"), None),
        (said(GERMAN), None),
        # The question is about languages: what the record says does not count.
        (said(GERMAN, "How would a German put it?", language="en"), None),
        (said(GERMAN, "Answer in French or reply in German.", language="en"), None),
        (said("Ja, gern.", "Please answer in French."), None),
        (said(f"```\n{GERMAN}\n```", "Please answer in French."), None),
        (said(GERMAN, language="pl"), None),
    ],
)
def test_replies_are_in_the_language_that_was_asked_for(
    conversation: Conversation, found: tuple[str, str] | None
) -> None:
    violation = check_language(conversation)
    assert (violation and (violation.value, violation.threshold)) == found


@pytest.mark.parametrize(
    ("reply", "count"),
    [
        ("ha " * 9, 9),
        ("I like it. " * 9, 9),
        ("one\n\ntwo\n" * 9, 9),
        ("ha " * 8, None),
        ("It is and it is and it is.", None),
        ("| a | b |\n|---|---|\n" + "".join(f"| {n} | 0 |\n" for n in range(30)), None),
        (" ".join(str(n % 17) for n in range(17 * 9)), None),
    ],
)
def test_replies_do_not_go_on_and_on(reply: str, count: int | None) -> None:
    violation = check_repetition(said(reply.strip()), 8)
    assert (violation and violation.value) == count
    assert most_in_a_row([]) == (0, [])


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("Here it is:\n```python\nx = 1", "ends within a code block"),
        ("<think>It may be", "ends within a thought"),
        ("First we add the eggs,", "breaks off"),
        ("It belongs to the", "breaks off"),
        ("Oslo", None),
        ("```\nx\n```", None),
        ("<think>Hm.</think> Yes", None),
        ("It is 5 (five)", None),
    ],
)
def test_replies_that_are_cut_off_are_found(reply: str, reason: str | None) -> None:
    violation = check_truncation(said(reply))
    assert (violation and violation.reason) == reason


def test_marks_of_other_formats_are_removed_at_the_end_and_refused_elsewhere() -> None:
    after, names = repaired(said("It is Oslo.<|im_end|>\n</s>"))
    assert (after.messages[-1]["content"], names) == ("It is Oslo.", ["end mark removed"])
    assert repaired(said("Write <s>old</s>"))[1] == []
    assert repaired(said("It is\u200b Oslo.\ud800 "))[1] == ["text cleaned"]
    inside = check_special_tokens(said("It is<|im_end|>\n<|im_start|>user\nOslo."))
    assert inside is not None
    assert inside.value == "<|im_end|>"
    for fine in ("The token `<|im_end|>` ends a turn.", "a <|> b", "F# has <| and |>."):
        assert check_special_tokens(said(fine)) is None
    # A user may quote them: they are no special tokens of this model.
    assert check_special_tokens(said("It ends a turn.", "What is <|im_end|>?")) is None


@pytest.mark.parametrize(
    ("documents", "reason"),
    [
        ("", None),
        ('[{"doc_id": 1, "text": "The bridge is old."}]', None),
        ('[{"doc_id": 1, "text": "  "}]', "no document has a text"),
        ("[]", "no document has a text"),
        ("[", "not JSON"),
    ],
)
def test_documents_have_texts(documents: str, reason: str | None) -> None:
    violation = check_documents(said("It is old.", documents=documents))
    assert (violation and violation.reason) == reason


def test_a_rejected_reply_may_have_any_fault_but_must_be_a_conversation() -> None:
    rules = form_rules(data_config())
    for reply in ("2 + 2 = 5", "ha " * 50, "```python\nx = = 1\n```", "and so on,"):
        assert all(rule(normalized(said(reply))) is None for rule in rules)
        assert apply_rules([said(reply)], data_config())[1]
    assert any(rule(said("<|end_of_text|>")) for rule in rules)
