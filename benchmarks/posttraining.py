"""What post-training teaches, stage by stage: all checkpoints of finished runs asked the same different prompts.

    python benchmarks/posttraining.py runs/smoke runs/seed1 runs/seed2 --into runs/measured

Each checkpoint's replies are kept below `--into`, and asked for again only if they are not there. Difficulty, name and
limit of tokens are those of the first run's `sft_data` and `evaluate_sft`.
"""

import argparse
import json
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import fmean

from pipeline.core.errors import ArtifactError
from pipeline.core.files import read_json, write_json
from pipeline.core.statistics import mean_interval
from pipeline.environments import ENVIRONMENT_NAMES, ProblemConfig
from pipeline.environments.registry import Asked
from pipeline.evaluation.accuracy import measure_accuracy, score_name
from pipeline.evaluation.answers import SPLITS, Answer, read_answers, write_answers
from pipeline.evaluation.comparison import compare
from pipeline.evaluation.config import AccuracyConfig
from pipeline.evaluation.floors import Floor
from pipeline.inference.loading import load_model

STAGES = ("sft", "rl_multi_domain", "rl_rlhf", "rl_identity", "rl_math")
TITLES: dict[Asked, str] = {
    "held_out": "New phrasings of trained tasks",
    "instances": "New instances: numbers, words and names that training never has",
    "train": "Phrasings that training has",
}
Measured = dict[str, dict[str, list[Answer]]]
"""Answers by run and stage."""


def settings(run: Path, prompts: int) -> AccuracyConfig:
    """What is asked, by a run's own difficulty."""
    problems = read_json(run / "sft_data" / "config.json")["config"]["problems"]
    accuracy = read_json(run / "evaluate_sft" / "config.json")["config"]["accuracy"]
    return AccuracyConfig(
        environments=list(ENVIRONMENT_NAMES),
        problems_per_environment=prompts,
        splits=SPLITS,
        maximum_new_tokens=accuracy["maximum_new_tokens"],
        problems=ProblemConfig(difficulty=problems["difficulty"], assistant=problems["assistant"]),
        batch_prompts=256,
    )


def measure(folder: Path, into: Path, config: AccuracyConfig) -> list[Answer]:
    """The replies of a stage's checkpoint, from the file of an earlier call if there is one."""
    place, floors = into / folder.parent.name / folder.name, into / "floors.json"
    if (answers := read_answers(place)) is not None:
        return answers
    known = {name: Floor(**floor) for name, floor in read_json(floors).items()} if floors.is_file() else {}
    start = time.perf_counter()
    found = measure_accuracy(load_model(folder / "checkpoint", "fp32"), config, seed=0, known=known)
    write_json(floors, {name: asdict(floor) for name, floor in found.floors.items()})
    place.mkdir(parents=True, exist_ok=True)
    write_answers(place, found.answers)
    print(f"{place}: {len(found.answers)} prompts in {time.perf_counter() - start:.0f} s", flush=True)
    return found.answers


def scores_of(answers: Sequence[Answer], split: Asked, domain: str) -> list[float]:
    """The scores of one domain and split."""
    return [each.score for each in answers if (each.split, each.domain) == (split, domain)]


def split_table(measured: Measured, floors: dict[str, Floor], split: Asked) -> list[str]:
    """A row for each domain: floor, chance, prompts, and a cell for each stage over all runs."""
    stages = [stage for stage in STAGES if any(stage in of_run for of_run in measured.values())]
    first = next(answers for of_run in measured.values() for answers in of_run.values())
    domains = list(dict.fromkeys(each.domain for each in first if each.split == split))
    lines = [
        f"| | prompts | chance | best constant | {' | '.join(stages)} |",
        "|---" + "|--:" * (len(stages) + 3) + "|",
    ]
    for domain in domains:
        floor = floors[score_name(domain, split)]
        cells = [cell([scores_of(run[stage], split, domain) for run in measured.values() if stage in run], floor)
                 for stage in stages]  # fmt: skip
        prompts = len(scores_of(first, split, domain))
        lines.append(f"| `{domain}` | {prompts} | {floor.chance:.2f} | {floor.constant:.2f} | {' | '.join(cells)} |")
    means = [
        fmean(fmean(scores_of(run[stage], split, domain)) for run in measured.values() if stage in run
              for domain in domains)
        for stage in stages
    ]  # fmt: skip
    floor, chance = (
        fmean(getattr(floors[score_name(domain, split)], what) for domain in domains) for what in ("constant", "chance")
    )
    lines.append(f"| mean | | {chance:.2f} | {floor:.2f} | {' | '.join(f'{mean:.2f}' for mean in means)} |")
    return lines


def cell(runs: list[list[float]], floor: Floor) -> str:
    """The mean over runs, from the lowest to the highest (of one run, its interval), and runs above the floor."""
    intervals = [mean_interval(scores) for scores in runs]
    means = [fmean(scores) for scores in runs]
    low, high = (min(means), max(means)) if len(runs) > 1 else intervals[0]
    above = sum(interval.low > floor.constant for interval in intervals)
    return f"{fmean(means):.2f} ({low:.2f} to {high:.2f}) {above}/{len(runs)}"


def change_table(measured: Measured, before: str, after: str) -> list[str]:
    """What changed from one stage to another in each run, with its p: a row for each domain and split that changed
    beyond noise in one run or more."""
    compared = {
        run: {each.name: each for each in compare(stages[before], stages[after])}
        for run, stages in measured.items()
        if before in stages and after in stages
    }
    if not compared:
        return []
    lines = [f"| {before} to {after} | {' | '.join(compared)} |", "|---" + "|--:" * len(compared) + "|"]
    for name in next(iter(compared.values())):
        found = [of_run[name] for of_run in compared.values() if name in of_run]
        if all(each.change.low <= 0 <= each.change.high for each in found):
            continue
        cells = [
            f"{each.change.mean:+.2f} ({each.change.low:+.2f} to {each.change.high:+.2f}), p {each.p:.2g}"
            for each in found
        ]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return [*lines, ""]


def document(measured: Measured, floors: dict[str, Floor], config: AccuracyConfig, command: str) -> str:
    """The Markdown of all tables."""
    unfinished = fmean(
        not each.finished for of_run in measured.values() for answers in of_run.values() for each in answers
    )
    lines = [
        "# What post-training teaches, stage by stage",
        "",
        f"Greedy replies of at most {config.maximum_new_tokens} tokens, difficulty {config.problems.difficulty}, at "
        f"most {config.problems_per_environment} different prompts of each domain and split, all there are where that "
        f"is fewer. Runs: {', '.join(measured)}. {platform.machine()}, Python {platform.python_version()}, torch "
        f"{version('torch')}, transformers {version('transformers')}. The command:",
        "",
        "```",
        command,
        "```",
        "",
        "A cell has the mean over the runs, the lowest and the highest of them (of a single run its 95 % interval), "
        "and the number of runs whose interval lies above the best constant reply. Best constant and chance are "
        f"measured with the verifiers on the same prompts. A reply without an end has 0; {unfinished:.1%} had none.",
        "",
    ]
    for split in ("held_out", "instances", "train"):
        lines += [f"## {TITLES[split]}", "", *split_table(measured, floors, split), ""]
    lines += [
        "## Changes on the same prompts",
        "",
        "With 90 % intervals by the paired bootstrap and the p of McNemar's exact test on right and not right. Rows "
        "whose interval holds 0 in all runs are left out.",
        "",
    ]
    for before, after in (("sft", "rl_math"), *pairwise(STAGES)):
        lines += change_table(measured, before, after)
    lines += [
        "## Best constant replies",
        "",
        "| score | reply |",
        "|---|---|",
        *(f"| `{name}` | `{json.dumps(floor.reply)}` |" for name, floor in floors.items()),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measures what is not measured, and prints or writes the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of runs")
    parser.add_argument("--into", required=True, type=Path, help="folder for replies and floors")
    parser.add_argument("--prompts", type=int, default=256, help="of each domain and split, at most")
    parser.add_argument("--write", type=Path, help="Markdown file; without it the tables are printed")
    chosen = parser.parse_args()
    config = settings(chosen.runs[0], chosen.prompts)
    into = chosen.into / f"{chosen.prompts}-prompts"
    measured: Measured = {
        run.name: {
            stage: measure(run / stage, into, config) for stage in STAGES if (run / stage / "manifest.json").is_file()
        }
        for run in chosen.runs
    }
    measured = {run: stages for run, stages in measured.items() if stages}
    if not measured:
        raise ArtifactError(f"{', '.join(map(str, chosen.runs))}: no finished stage of {', '.join(STAGES)}")
    floors = {name: Floor(**floor) for name, floor in read_json(into / "floors.json").items()}
    command = f"python benchmarks/posttraining.py {' '.join(map(str, chosen.runs))} --prompts {chosen.prompts}"
    text = document(measured, floors, config, command)
    if chosen.write:
        chosen.write.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
