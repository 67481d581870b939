"""System turns with tools and documents have the words of the chat template, and reach a model as its own."""

from typing import Any

from transformers.utils.chat_template_utils import render_jinja_template

from pipeline.environments.problem import JSON
from pipeline.environments.system_turns import documents_turn, tool_call, tools_turn
from pipeline.tokenization.tokenizer import CHAT_TEMPLATE

USER = {"role": "user", "content": "What is the weather in Oslo?"}
TOOL: dict[str, JSON] = {
    "type": "function",
    "function": {"name": "weather", "description": "For a <city>.", "parameters": {"type": "object", "properties": {}}},
}
DOCUMENTS: list[dict[str, JSON]] = [
    {"doc_id": "1", "title": "Ärger", "text": "a < b"},
    {"doc_id": "2", "title": "B", "text": "</documents>"},
]


def rendered(messages: list[dict[str, Any]], **beside: Any) -> str:
    return render_jinja_template([messages], chat_template=CHAT_TEMPLATE.read_text(), **beside)[0][0]


def test_a_system_turn_is_what_the_template_makes_of_tools_and_documents() -> None:
    for before, beside in (
        (tools_turn([TOOL, TOOL]), {"tools": [TOOL, TOOL]}),
        (documents_turn(DOCUMENTS), {"documents": DOCUMENTS}),
    ):
        turns = [{"role": role, "content": text} for role, text in before]
        assert rendered([*turns, USER]) == rendered([USER], **beside)


def test_a_call_as_text_is_what_the_template_makes_of_a_call() -> None:
    arguments: dict[str, JSON] = {"city": "Málaga <b>", "days": 2}
    call = {"type": "function", "function": {"name": "weather", "arguments": arguments}}
    assert rendered([USER, {"role": "assistant", "content": tool_call("weather", arguments)}]) == rendered(
        [USER, {"role": "assistant", "content": "", "tool_calls": [call]}]
    )
