from pipeline.environments.registry import problems
from pipeline.evaluation.accuracy import accuracy_metrics, example_answers
from pipeline.inference.completions import Completion
from tests.settings import EASY


def test_accuracy_counts_verdicts_and_format_also_endings() -> None:
    first, second = problems("math", 2, 0, "held_out", EASY)
    completions = [Completion(first, first.solution, ended=True), Completion(second, second.solution, ended=False)]
    metrics = accuracy_metrics(completions)
    assert metrics["accuracy/math"] == metrics["accuracy/mean"] == 1.0
    assert metrics["in_format/math"] == metrics["in_format/mean"] == 0.5


def test_one_answer_of_each_domain_is_shown() -> None:
    asked = problems("math", 2, 0, "held_out", EASY) + problems("identity", 2, 0, "held_out", EASY)
    examples = example_answers([Completion(problem, problem.solution, ended=True) for problem in asked], 3)
    assert [(each["domain"], each["prompt"], each["score"]) for each in examples] == [
        ("math", asked[0].prompt, "1 (right)"), ("identity", asked[2].prompt, "1 (right)"),
    ]  # fmt: skip
