"""The model card: what the model is, how and from what it was made, and what was measured on the way."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence

from pipeline.core.artifact import Manifest

DATA_KIND = "tokenize"
"""Kind of the stages whose metrics count the tokens of each domain."""


def model_card(
    name: str,
    parameters: int,
    context: int,
    precision: str,
    stages: Sequence[Manifest],
    evaluations: Mapping[str, Manifest],
    samples: Sequence[Mapping[str, str]],
) -> str:
    """The card as Markdown, with the front matter that the Hugging Face Hub reads.

    Args:
        name: title.
        parameters: number of weights, tied ones counted once.
        context: longest context in tokens that the model was trained for.
        precision: number format of the weights.
        stages: manifests of the model's lineage, in the order in which the stages ran.
        evaluations: manifests of stages that evaluate, by the stage that they measured.
        samples: dictionaries with `prompt` and `answer` of the released model.
    """
    last = stages[-1]
    sections = [
        _front_matter(),
        f"# {name}",
        f"A dense decoder-only language model of the Granite architecture with {parameters:,} parameters "
        f"({precision}), trained for a context of {context:,} tokens and tuned to chat.",
        _usage(),
        "## Recipe",
        "The stages the model was made by, in order, with what each reports of itself.",
        _markdown_table(("stage", "tokens", "measure", "before", "after"), [_stage_row(each) for each in stages]),
        "## Data",
        "Tokens of each domain after curation; a training phase draws them in proportions of its own.",
        _markdown_table(("domain", "training tokens", "held-out tokens"), _data_rows(stages)),
        "## Evaluation",
        "Losses are in nats per token on held-out documents; accuracies are judged by verifiers on held-out "
        "prompts. A column is the model after that stage.",
        _markdown_table(("metric", *evaluations), _evaluation_rows(evaluations)),
        "## Samples",
        "Answers of this very folder, decoded greedily.",
        *(_sample(each) for each in samples),
        "## Limits",
        "Answers can be wrong, and what the model says of itself or of the world is no evidence. "
        "It was not trained to refuse harmful requests beyond what the data above teaches.",
        "## Origin",
        f"Made with fivephase {last.packages.get('fivephase', '')}, "
        f"revision {last.git_revision or 'unknown'}. "
        f"Fingerprint of the last training stage: `{last.fingerprint}`.",
        "## Licence",
        "Apache-2.0.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _front_matter() -> str:
    return "---\nlicense: apache-2.0\nlibrary_name: transformers\npipeline_tag: text-generation\n---"


def _usage() -> str:
    return textwrap.dedent(
        """\
        ```python
        from transformers import AutoModelForCausalLM, AutoTokenizer

        model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")
        tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": "Who are you?"}],
            add_generation_prompt=True, return_dict=True, return_tensors="pt",
        )
        print(tokenizer.decode(model.generate(**prompt, max_new_tokens=64)[0]))
        ```"""
    )


def _stage_row(manifest: Manifest) -> tuple[str, ...]:
    tokens = f"{manifest.tokens:,}" if manifest.tokens else ""
    return manifest.stage, tokens, manifest.measure, _formatted(manifest.before), _formatted(manifest.after)


def _data_rows(stages: Sequence[Manifest]) -> list[tuple[str, ...]]:
    rows = []
    for manifest in stages:
        if manifest.kind != DATA_KIND:
            continue
        for metric, value in manifest.metrics.items():
            part, _, domain = metric.partition("/")
            if part == "tokens":
                held_out = manifest.metrics[f"validation_tokens/{domain}"]
                rows.append((domain, f"{value:,.0f}", f"{held_out:,.0f}"))
    return rows


def _evaluation_rows(evaluations: Mapping[str, Manifest]) -> list[tuple[str, ...]]:
    metrics = list(dict.fromkeys(metric for each in evaluations.values() for metric in each.metrics))
    return [(metric, *(_formatted(each.metrics.get(metric)) for each in evaluations.values())) for metric in metrics]


def _sample(sample: Mapping[str, str]) -> str:
    # Indented by four spaces it is a code block, which nothing that the model writes can end.
    return textwrap.indent(f"> {sample['prompt']}\n{sample['answer']}", "    ", lambda line: True)


def _markdown_table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [tuple(header)]
    lines += [tuple("-" * 3 for _ in lines[0]), *(tuple(row) for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _formatted(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
