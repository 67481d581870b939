"""IFEval's 25 kinds of constraints: texts that meet each and texts that do not, after the benchmark's own tests."""

from typing import Any

import pytest

from pipeline.environments import Problem, verify
from pipeline.environments.constraints import KINDS, fault_of, meets
from pipeline.environments.registry import check_problem

LESS, LEAST = "less than", "at least"
CASES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    ("keywords:existence", {"keywords": ["river", "Mona Lisa"]}, ["By the River hangs the mona lisa."], ["A river."]),
    ("keywords:frequency", {"keyword": " sea ", "frequency": 3, "relation": LEAST}, ["sea, Sea, SEA"], ["sea sea"]),
    ("keywords:frequency", {"keyword": "sea", "frequency": 3, "relation": LESS}, ["sea sea"], ["*sea\n*Sea\n*SEA"]),
    ("keywords:forbidden_words", {"forbidden_words": ["GENE"]}, ["Generative models."], ["A gene.", "gene"]),
    ("keywords:letter_frequency", {"letter": "T", "let_frequency": 4, "let_relation": LEAST},
     ["Two tents tilt."], ["Tea."]),
    ("keywords:letter_frequency", {"letter": "#", "let_frequency": 2, "let_relation": LESS}, ["#one"], ["#one #two"]),
    ("language:response_language", {"language": "es"}, ["Hoy desayunamos en la casa de mi abuela."], ["We eat now."]),
    ("language:response_language", {"language": "en"}, ["Today we visit the museum.", "***"], ["Hoy vamos al museo."]),
    ("length_constraints:number_sentences", {"num_sentences": 4, "relation": LESS},
     ["One. Two! Three?"], ["a,b. c,d! e/f. g(h)i?", "One. Two. Three. Four"]),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": LEAST},
     ["It costs 3.50 euros. Mr. Smith pays."], ["Dr. Who, e.g. the first, took 2.5 hours.", "Really?!"]),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2},
     ["one\n***\ntwo", "***\none\n***\ntwo\n***"], ["one", "one\n***\n***\ntwo", "one\n\ntwo"]),
    ("length_constraints:number_words", {"num_words": 8, "relation": LESS}, ["one, two-three 4"], ["a b c d e f g h"]),
    ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 3, "nth_paragraph": 2, "first_word": "I"},
     ["one\n\n'I, two\n\nthree"], ["one\n\nI two", "one\n\nwe two\n\nthree", "I\n\none\n\ntwo", "one\n\nIs\n\nthree"]),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, ["[name], [place]"], ["[name]", "[a\nb] [c]"]),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, ["Bye. P.S. Hi", "bye\np. s. hi"], ["PS: hi"]),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, ["Bye.\nP.P.S. Hi", "p.p.s what"], ["P.S. hi"]),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2},
     ["Two:\n* one\n  - two\nend (*)", "*one\n-two"], ["* one", "***\n* one", "* 1\n* 2\n* 3"]),
    ("detectable_format:constrained_response", {}, ["\n My answer is no.\n"], ["No.", "my answer is no"]),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2},
     ["*one* and *two*", "**one** *two*"], ["*one*", "*one\n*two*", "****"]),
    ("detectable_format:multiple_sections", {"section_spliter": "SECTION", "num_sections": 2},
     ["SECTION 1\na\nSECTION 2\nb"], ["SECTION 1\na", "Section 1\nSection 2"]),
    ("detectable_format:json_format", {},
     ['{"a": [1]}', '```json\n{"a": 1}\n```', "7"], ["a", "{'a': 1}", "[" * 99_999]),
    ("detectable_format:title", {}, ["<<Song of joy>>\nLa la."], ["<< >>\nNone", "<<This\nis none>>", "Song"]),
    ("combination:two_responses", {}, ["one\n******\ntwo", "******\none\n******\ntwo\n******"],
     ["one\n******\none", "1\n******\n2\n******\n3", "1\n******\n******\n2", "one"]),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write a line."},
     ["write a line. Here."], ["Hi. Write a line."]),
    ("startend:end_checker", {"end_phrase": "Any more questions? "}, ['7. Any more questions?"\n'], ["Any more. No."]),
    ("startend:quotation", {}, [' "All of it." \n'], ['"A part" of it.', '"']),
    ("change_case:capital_word_frequency", {"capital_frequency": 3, "capital_relation": LEAST},
     ["HERE are THREE CAPITAL ones"], ["HERE Are Two CAPITAL"]),
    ("change_case:english_capital", {}, ["THIS IS AN ENGLISH SENTENCE. AMAZING!"], ["Every Word Is Capitalized."]),
    ("change_case:english_lowercase", {}, ["every letter is in lower case."], ["Almost every letter is."]),
    ("punctuation:no_comma", {}, ["Short. No need."], ["Long, and so on."]),
]  # fmt: skip


def row(kind: str, arguments: dict[str, Any]) -> Problem:
    return Problem("ifeval", "?", "", "", {"instruction_id_list": [kind], "kwargs": [arguments]})


@pytest.mark.parametrize(("kind", "arguments", "right", "wrong"), CASES)
def test_each_kind(kind: str, arguments: dict[str, Any], right: list[str], wrong: list[str]) -> None:
    assert fault_of(kind, arguments) is None
    assert [text for text in right if not meets(kind, text, arguments)] == []
    assert [text for text in wrong if meets(kind, text, arguments)] == []
    assert check_problem(row(kind, arguments)) is None
    assert verify(row(kind, arguments), right[0]).score == 1.0


def test_all_kinds_of_the_benchmark_are_tried() -> None:
    assert {case[0] for case in CASES} == set(KINDS)
    assert len(KINDS) == 25


def test_the_score_is_the_share_that_is_met() -> None:
    problem = Problem("ifeval", "?", "", "", {
        "instruction_id_list": ["punctuation:no_comma", "startend:quotation", "keywords:existence"],
        # As Parquet gives it: each row has the keys of all others, and whole numbers are floats.
        "kwargs": [{"keywords": None}, {}, {"keywords": ["sun"], "num_words": None}],
    })  # fmt: skip
    assert check_problem(problem) is None
    assert verify(problem, '"The sun shines."').score == 1.0
    verdict = verify(problem, "The sun, it shines.")
    assert (round(verdict.score, 2), verdict.reason) == (0.33, "not punctuation:no_comma")
    assert not verify(problem, " ").in_format


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ({}, "spec.instruction_id_list and spec.kwargs are no lists of the same length"),
        ({"instruction_id_list": ["a"], "kwargs": []}, "no lists of the same length"),
        ({"instruction_id_list": ["punctuation:no_dot"], "kwargs": [{}]}, '"punctuation:no_dot" is none of IFEval\'s'),
        ({"instruction_id_list": [["a"]], "kwargs": [{}]}, "is none of IFEval's"),
        ({"instruction_id_list": ["keywords:existence"], "kwargs": [{}]}, "has keywords=null, set a list of texts"),
        ({"instruction_id_list": ["keywords:existence"], "kwargs": ["a"]}, "are no object, set keywords"),
        ({"instruction_id_list": ["startend:end_checker"]}, "has end_phrase=null, set a text"),
        ({"instruction_id_list": ["length_constraints:number_words"],
          "kwargs": [{"num_words": 3, "relation": "about"}]},
         'has relation="about", set one of less than, at least'),
        ({"instruction_id_list": ["length_constraints:number_paragraphs"], "kwargs": [{"num_paragraphs": 2.5}]},
         "has num_paragraphs=2.5, set a whole number"),
        ({"instruction_id_list": ["keywords:letter_frequency"],
          "kwargs": [{"letter": "ab", "let_frequency": 1, "let_relation": "at least"}]}, "set a single character"),
        ({"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{"commas": 2}]}, "has commas, leave it away"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_checked_is_refused(spec: dict[str, Any], fault: str) -> None:
    found = check_problem(Problem("ifeval", "?", "", "", spec))
    assert found is not None
    assert fault in found


@pytest.mark.parametrize(
    ("environment", "answer", "spec"),
    [
        ("science", "mammal", {}),
        ("logical_reasoning", "Ann", {"candidates": ["Tom", "Bob"]}),
        ("temporal_reasoning", "yesterday", {"date": True}),
        ("instruction_following", "sun sun", {"word": "sun"}),
        ("in_context_learning", "red", {"numeric": True}),
    ],
)
def test_a_row_for_an_environment_whose_answer_or_spec_is_none_of_its_is_refused(
    environment: str, answer: str, spec: dict[str, Any]
) -> None:
    fault = check_problem(Problem(environment, "?", answer, "", spec))
    assert fault is not None
    assert "correct" in fault
