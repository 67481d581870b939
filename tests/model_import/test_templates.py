"""Chat templates of imported models: kept, marked, or refused, and shown by `fivephase doctor template`."""

from pathlib import Path
from typing import Any

import pytest
from trl import chat_template_utils

from pipeline.cli import main
from pipeline.core.errors import EXIT_DONE, EXIT_USER_ERROR, CheckpointError
from pipeline.inference.chat_template import EXAMPLE, check_assistant_mask, segments
from pipeline.inference.conversation_ids import conversation_ids
from pipeline.model_import.template_report import shown
from pipeline.model_import.templates import set_template
from pipeline.tokenization.special_tokens import END_OF_ROLE, END_OF_TEXT, PAD, START_OF_ROLE
from tests.foreign import MARKED, foreign_tokenizer

TRAINED = "It is 5.</s>You are welcome.</s>"


def trained_text(tokenizer: Any) -> str:
    return "".join(each.text for each in segments(tokenizer, EXAMPLE, "here") if each.trained)


def test_segments_are_the_rendered_text_cut_where_training_begins_and_ends() -> None:
    tokenizer = foreign_tokenizer(chat_template=MARKED)
    messages = [{"role": "user", "content": "naïve 🙂?"}, {"role": "assistant", "content": "Oui 🙂 é!"}]
    found = segments(tokenizer, messages, "here")
    assert "".join(each.text for each in found) == tokenizer.apply_chat_template(messages, tokenize=False)
    assert [(each.text, each.trained) for each in found] == [
        ("<s>[user]naïve 🙂?[assistant]", False),
        ("Oui 🙂 é!</s>", True),
    ]
    assert tokenizer.decode(found[1].tokens) == "Oui 🙂 é!</s>"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (None, "no chat template"),
        (MARKED.replace("{% generation %}", "").replace("{% endgeneration %}", ""), "marks nothing to train on"),
        (
            "{% for m in messages %}{% generation %}{{ m.content ~ eos_token }}{% endgeneration %}{% endfor %}",
            r"trains on 'What is 2 \+ 3\?', which the user says",
        ),
        (MARKED.replace("{{ message.content ~ eos_token }}{% endgen", "{{ message.content }}{% endgen"), "</s>"),
        ("{{ raise_exception('no system here') }}", "does not render a conversation .no system here"),
        ("{% for m in messages %}", "does not render a conversation"),
    ],
    ids=["none", "unmarked", "all", "no end", "raises", "broken"],
)
def test_a_template_that_trains_on_the_wrong_words_is_refused(template: str | None, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as error:
        check_assistant_mask(foreign_tokenizer(chat_template=template), "here")
    assert "\n" not in str(error.value)


def test_without_a_template_nothing_is_rendered() -> None:
    with pytest.raises(CheckpointError, match="no chat template to render conversations with"):
        conversation_ids(foreign_tokenizer(), EXAMPLE)


def test_a_template_is_kept_marked_or_said_to_be_missing() -> None:
    tokenizer = foreign_tokenizer(chat_template=MARKED)
    assert set_template(tokenizer, None, "here") == []
    assert tokenizer.chat_template == MARKED
    assert set_template(foreign_tokenizer(), None, "here")[0].startswith("there is no chat template")
    unmarked = foreign_tokenizer(chat_template=MARKED.replace("generation", "if true").replace("endif true", "endif"))
    assert set_template(unmarked, None, "here")[0].startswith("fine-tuning will refuse the chat template: here: its")
    assert "if true" in unmarked.chat_template


def test_marks_come_from_trl_and_for_granite_from_here() -> None:
    qwen = foreign_tokenizer(
        ("<|endoftext|>", "<|im_start|>", "<|im_end|>"), eos_token="<|im_end|>", pad_token="<|endoftext|>",
        chat_template=chat_template_utils.qwen2_5_chat_template,
    )  # fmt: skip
    assert set_template(qwen, None, "here") == [
        "the chat template marks nothing to train on: TRL's version of it takes its place"
    ]
    assert trained_text(qwen).replace("\n", "") == "It is 5.<|im_end|>You are welcome.<|im_end|>"

    theirs = (
        "{% if messages[0].role != 'system' %}<|start_of_role|>system<|end_of_role|>Be safe.<|end_of_text|>\n"
        "{% endif %}{% for m in messages %}"
        "{{ '<|start_of_role|>' ~ m.role ~ '<|end_of_role|>' ~ m.content ~ '<|end_of_text|>\n' }}{% endfor %}"
    )
    special = (END_OF_TEXT, PAD, START_OF_ROLE, END_OF_ROLE)
    granite = foreign_tokenizer(special, eos_token=END_OF_TEXT, pad_token=PAD, chat_template=theirs)
    assert set_template(granite, None, "here") == [
        "the chat template marks nothing to train on: Granite 4's with marks takes its place"
    ]
    assert trained_text(granite) == TRAINED.replace("</s>", END_OF_TEXT)


def test_a_template_of_ones_own_is_held_to_its_marks(tmp_path: Path) -> None:
    tokenizer = foreign_tokenizer()
    set_template(tokenizer, "plain", "here")
    assert trained_text(tokenizer) == TRAINED
    prompt = tokenizer.apply_chat_template(list(EXAMPLE[:1]), tokenize=False, add_generation_prompt=True)
    assert prompt == "<s>User:\nWhat is 2 + 3?\n\nAssistant:\n"
    assert tokenizer.apply_chat_template(list(EXAMPLE), tokenize=False).startswith(prompt)
    mine = tmp_path / "mine.jinja"
    mine.write_text("{% for m in messages %}{{ m.content }}{% endfor %}")
    with pytest.raises(
        CheckpointError, match=r"here with chat_template=.*mine\.jinja: its chat template marks nothing"
    ):
        set_template(foreign_tokenizer(), str(mine), "here")


def doctor(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "template", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_the_doctor_shows_what_is_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "my runs" / "mine"
    foreign_tokenizer(chat_template=MARKED).save_pretrained(run / "sft/checkpoint")
    assert doctor("sft", "run=mine", f"root={run.parent}") == EXIT_DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "<s>[user]What is 2 + 3?[assistant][[It is 5.</s>]][user]Thank you![assistant][[You are welcome.</s>]]"
    )
    assert lines[-1].endswith("tokens are trained on: between [[ and ]]")
    unmarked = tmp_path / "a folder"
    foreign_tokenizer(chat_template="{% for m in messages %}{{ m.content }}\n{% endfor %}").save_pretrained(unmarked)
    assert doctor(str(unmarked)) == EXIT_USER_ERROR
    said = capsys.readouterr()
    assert "It is 5.\nThank you!" in said.out
    assert "0 of" in said.out
    assert said.err.count("\n") == 1
    assert "marks nothing to train on" in said.err
    assert doctor(str(unmarked), "--chat-template", "plain") == EXIT_DONE
    assert "[[It is 5.</s>]]" in capsys.readouterr().out
    assert doctor("phase9", f"root={tmp_path}") == EXIT_USER_ERROR
    assert "no folder with a tokenizer" in capsys.readouterr().err


def test_on_a_terminal_it_is_green_and_nothing_else_reaches_the_terminal() -> None:
    tokenizer = foreign_tokenizer(chat_template=MARKED)
    hostile = [{"role": "user", "content": "a\x1b[2J\nb"}, {"role": "assistant", "content": "c"}]
    text = shown(segments(tokenizer, hostile, "here"), colored=True)
    assert text == "<s>[user]a\\x1b[2J\nb[assistant]\x1b[32mc</s>\x1b[0m"
