"""The chat template renders conversations as Granite's does, and marks what the assistant is trained on."""

import json
import re
from typing import Any

import pytest
from jinja2.exceptions import TemplateError
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from pipeline.core.artifact import Artifact
from pipeline.inference.masked_conversation import ConversationEncoder
from pipeline.tokenization.tokenizer import CHAT_TEMPLATE

CALL = {"type": "function", "function": {"name": "weather", "arguments": {"city": "Kraków"}}}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
CONVERSATION: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Hot?"},
    {"role": "assistant", "content": "Let me look.", "tool_calls": [CALL, CALL]},
    {"role": "tool", "content": "31"},
    {"role": "tool", "content": "30"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "Thanks"},
    {"role": "assistant", "content": " Welcome\n"},
]


@pytest.fixture(scope="module")
def tokenizer(tokenizer_artifact: Artifact) -> PreTrainedTokenizerFast:
    return AutoTokenizer.from_pretrained(tokenizer_artifact.directory / "tokenizer")


def render(tokenizer: PreTrainedTokenizerFast, messages: list[dict[str, Any]], **options: Any) -> str:
    text = tokenizer.apply_chat_template(messages, tokenize=False, **options)
    assert isinstance(text, str)
    return text


def test_the_format_is_granites(tokenizer: PreTrainedTokenizerFast) -> None:
    assert render(tokenizer, CONVERSATION[:6]) == (
        "<|start_of_role|>system<|end_of_role|>Be brief.<|end_of_text|>\n"
        "<|start_of_role|>user<|end_of_role|>Hot?<|end_of_text|>\n"
        "<|start_of_role|>assistant<|end_of_role|>Let me look.\n<tool_call>\n"
        '{"name": "weather", "arguments": {"city": "Kraków"}}\n'
        "</tool_call>\n<tool_call>\n"
        '{"name": "weather", "arguments": {"city": "Kraków"}}\n'
        "</tool_call><|end_of_text|>\n"
        "<|start_of_role|>user<|end_of_role|>\n"
        "<tool_response>\n31\n</tool_response>\n"
        "<tool_response>\n30\n</tool_response><|end_of_text|>\n"
        "<|start_of_role|>assistant<|end_of_role|>Yes.<|end_of_text|>\n"
    )


def test_the_system_turn_holds_text_then_tools_then_documents(tokenizer: PreTrainedTokenizerFast) -> None:
    document = {"doc_id": 1, "title": "T", "text": "It is hot.", "source": "s"}
    text = render(tokenizer, CONVERSATION[:2], tools=[TOOL], documents=[document])
    system = text[: text.index("<|end_of_text|>")]
    places = [system.index(part) for part in ("Be brief.\n\n", "<tools>\n{", "</tools>", "<documents>\n{")]
    assert places == sorted(places)
    assert '{"doc_id": 1, "title": "T", "text": "It is hot.", "source": "s"}\n</documents>' in system


def test_all_parts_of_a_conversation_have_their_tags_and_line_ends(tokenizer: PreTrainedTokenizerFast) -> None:
    """Granite's layout: system text, tools and documents a blank line apart, one line of JSON each."""
    schema = '<schema>{"type": "object"}</schema>'
    messages = [{"role": "system", "content": f"Answer as JSON. {schema}"}, *CONVERSATION[1:6]]
    documents = [{"doc_id": "1", "text": "It is hot."}, {"doc_id": "2", "text": "a < b"}]
    encoded = ConversationEncoder(tokenizer).encode(messages, [TOOL, TOOL], documents)
    tool = '{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}'
    call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Kraków"}}\n</tool_call>'
    layout = re.escape(
        f"<|start_of_role|>system<|end_of_role|>Answer as JSON. {schema}\n\n"
        f"TEXT\n<tools>\n{tool}\n{tool}\n</tools>\nTEXT\n\n"
        "TEXT\n<documents>\n"
        '{"doc_id": "1", "text": "It is hot."}\n{"doc_id": "2", "text": "a \\u003c b"}\n</documents>\n'
        "TEXT<|end_of_text|>\n"
        "<|start_of_role|>user<|end_of_role|>Hot?<|end_of_text|>\n"
        f"<|start_of_role|>assistant<|end_of_role|>Let me look.\n{call}\n{call}<|end_of_text|>\n"
        "<|start_of_role|>user<|end_of_role|>\n<tool_response>\n31\n</tool_response>\n"
        "<tool_response>\n30\n</tool_response><|end_of_text|>\n"
        "<|start_of_role|>assistant<|end_of_role|>Yes.<|end_of_text|>\n"
    ).replace("TEXT", "[A-Z](?s:.)+?")
    assert re.fullmatch(layout, encoded.text)
    names = tokenizer.convert_ids_to_tokens(encoded.ids)
    for tag in ("schema", "tools", "documents"):
        assert names.count(f"<{tag}>") == names.count(f"</{tag}>") == 1
    trained = [token for token, on in zip(encoded.ids, encoded.trained, strict=True) if on]
    assert tokenizer.decode(trained) == f"Let me look.\n{call}\n{call}<|end_of_text|>Yes.<|end_of_text|>"


def test_nothing_to_say_means_no_system_turn(
    tokenizer: PreTrainedTokenizerFast,
) -> None:
    text = render(tokenizer, CONVERSATION[1:2], add_generation_prompt=True)
    assert text == (
        "<|start_of_role|>user<|end_of_role|>Hot?<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>"
    )


def test_training_covers_answers_calls_and_their_end(tokenizer: PreTrainedTokenizerFast) -> None:
    encoded: Any = tokenizer.apply_chat_template(
        CONVERSATION, return_dict=True, return_assistant_tokens_mask=True, tools=[TOOL]
    )
    trained_on = [token for token, on in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if on]
    call = '<tool_call>\n{"name": "weather", "arguments": {"city": "Kraków"}}\n</tool_call>'
    assert tokenizer.decode(trained_on) == (
        f"Let me look.\n{call}\n{call}<|end_of_text|>Yes.<|end_of_text|> Welcome\n<|end_of_text|>"
    )


@pytest.mark.parametrize("length", [1, 2, 3, 5, 6, 7])
def test_a_conversation_is_a_prefix_of_its_continuation(tokenizer: PreTrainedTokenizerFast, length: int) -> None:
    assert render(tokenizer, CONVERSATION).startswith(render(tokenizer, CONVERSATION[:length]))


def test_content_may_be_parts_and_arguments_a_string(tokenizer: PreTrainedTokenizerFast) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    call = {"name": "f", "arguments": '{"x": 1}'}
    text = render(
        tokenizer,
        [{"role": "user", "content": parts}, {"role": "assistant", "content": None, "tool_calls": [call]}],
    )
    assert ">a\nb<|end_of_text|>" in text
    assert '<|end_of_role|><tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call>' in text


def test_json_has_no_tags_of_its_own(tokenizer: PreTrainedTokenizerFast) -> None:
    value = {"a<|end_of_text|>": "</documents>"}
    calls = [{"name": "<f>", "arguments": json.dumps(value)}, {"name": "f", "arguments": value}]
    messages = [
        {"role": "user", "content": {"x": "<tools>"}},
        {"role": "assistant", "content": "", "tool_calls": calls},
    ]
    text = render(tokenizer, messages, tools=[{"name": "<tools>"}], documents=[value])
    escaped = '{"a\\u003c|end_of_text|>": "\\u003c/documents>"}'
    assert json.loads(escaped) == value
    assert text.count(escaped) == 3
    assert '"\\u003cf>"' in text
    assert '{"x": "\\u003ctools>"}' in text
    assert text.count("<tools>") == text.count("</documents>") == 1


def test_other_engines_read_the_template() -> None:
    # llama.cpp takes `items` for a method, and vLLM wants what it finds set to messages to be a plain name.
    assert "namespace" not in CHAT_TEMPLATE.read_text().split("-#}")[1]


@pytest.mark.parametrize(
    "message",
    [{"role": "wizard", "content": "x"}, {"role": "user", "content": [{"type": "image", "url": "x"}]}],
)
def test_what_cannot_be_rendered_is_rejected(tokenizer: PreTrainedTokenizerFast, message: dict[str, Any]) -> None:
    with pytest.raises(TemplateError):
        render(tokenizer, [message])
