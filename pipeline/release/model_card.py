"""The model card: what the model is, how and from what it was made, and what was measured on the way."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.core.artifact import Manifest

if TYPE_CHECKING:
    # It loads torch, which whoever writes cards and tables can do without.
    from pipeline.release.folder import ModelShape

DATA_KINDS = ("tokenize", "import_tokens")
"""Kinds of the stages whose metrics count the tokens of each domain."""
CONVERSATIONS_KIND = "sft_data"
"""Kind of the stages whose metrics count conversations and preference pairs."""
INTERVAL = ("/low", "/high")
"""Ends of the names of metrics that are the ends of another one's interval."""


@dataclass(frozen=True, kw_only=True)
class Released:
    """What is known of a released model."""

    name: str
    """Title of the card."""
    shape: "ModelShape"
    precision: str
    """Number format of the weights."""
    chat: bool
    """Whether it answers messages; otherwise it continues texts."""
    license: str | None
    """SPDX identifier of the license that its owner gives it; None if it is open."""
    stages: Sequence[Manifest]
    """Manifests of its lineage, in the order in which the stages ran."""
    datasets: Sequence[Mapping[str, Any]]
    """What the stages took in, in the fields of IBM's data disclosures."""
    evaluations: Mapping[str, Manifest]
    """Manifests of stages that evaluate, by the stage that they measured."""
    samples: Sequence[Mapping[str, str]]
    """Dictionaries with `prompt` and `answer` of the released model."""


def model_card(released: Released) -> str:
    """The card as Markdown, with the front matter that the Hugging Face Hub reads."""
    stages, shape, last = released.stages, released.shape, released.stages[-1]
    purpose = "tuned to chat" if released.chat else "that continues texts; it has not been tuned to chat"
    sections = [
        _front_matter(released),
        f"# {released.name}",
        f"A dense decoder-only language model ({shape.architecture}) with {shape.parameters:,} parameters "
        f"({released.precision}) and a context of {shape.context:,} tokens, {purpose}.",
        _usage(released.chat),
        "## Recipe",
        "The stages the model was made by, in order, with what each reports of itself.",
        markdown_table(("stage", "tokens", "measure", "before", "after"), [_stage_row(each) for each in stages]),
        *_data(released),
        *evaluation_sections(released.evaluations),
        "## Samples",
        "What this very folder writes after each prompt (`>`), decoded greedily.",
        *(_sample(each) for each in released.samples),
        "## Limits",
        "Answers can be wrong, and what the model says of itself or of the world is no evidence. "
        "It was not trained to refuse harmful requests beyond what the data above teaches. A text that spells out a "
        "special token, such as `<|end_of_text|>`, forges a turn where the whole conversation is encoded at once: "
        "`apply_chat_template` of transformers 5.20 or newer keeps such texts apart with "
        "`sanitize_control_tokens=True`; elsewhere, look for them before they reach the model.",
        "## Origin",
        f"Made with fivephase {last.packages.get('fivephase', '')}, "
        f"revision {last.git_revision or 'unknown'}. "
        f"Fingerprint of the last training stage: `{last.fingerprint}`. `reference.json` has this folder's loss and "
        "greedy completions, token by token, for comparison wherever it is loaded.",
        "## License",
        _license(released),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _front_matter(released: Released) -> str:
    license_line = "" if released.license is None else f"license: {released.license.lower()}\n"
    return f"---\n{license_line}library_name: transformers\npipeline_tag: text-generation\n---"


def _usage(chat: bool) -> str:
    prompt = (
        """\
        prompt = tokenizer.apply_chat_template(
            [{"role": "user", "content": "Who are you?"}],
            add_generation_prompt=True, return_dict=True, return_tensors="pt",
        )"""
        if chat
        else """\
        prompt = tokenizer("The capital of France", return_tensors="pt")"""
    )
    return "\n".join(
        [
            "```python",
            "from transformers import AutoModelForCausalLM, AutoTokenizer",
            "",
            'model = AutoModelForCausalLM.from_pretrained("path/to/this/folder")',
            'tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")',
            textwrap.dedent(prompt),
            "print(tokenizer.decode(model.generate(**prompt, max_new_tokens=64)[0]))",
            "```",
        ]
    )


def _stage_row(manifest: Manifest) -> tuple[str, ...]:
    tokens = f"{manifest.tokens:,}" if manifest.tokens else ""
    return manifest.stage, tokens, manifest.measure, _formatted(manifest.before), _formatted(manifest.after)


def _data(released: Released) -> list[str]:
    """The section on the data: where they come from, how much of each domain there is, and the conversations."""
    sections = ["## Data"]
    if released.datasets:
        sections += [
            "What the texts are and where they come from; `data_disclosure.json` says more of each.",
            markdown_table(
                ("data set", "domain", "what it is", "source", "license", "documents"),
                [_dataset_row(each) for each in released.datasets],
            ),
        ]
    if tokens := _token_rows(released.stages):
        sections += [
            "Tokens of each domain after curation; a training phase draws them in proportions of its own.",
            markdown_table(("domain", "training tokens", "held-out tokens"), tokens),
        ]
    if conversations := _conversation_rows(released.stages):
        sections += [
            "Conversations and preference pairs of post-training, after the rules that remove faulty ones.",
            markdown_table(("stage", "what", "number"), conversations),
        ]
    return sections if len(sections) > 1 else [*sections, "The stages above name no data of their own."]


def _dataset_row(dataset: Mapping[str, Any]) -> tuple[str, ...]:
    documents = dataset.get("documents")
    return (
        str(dataset.get("name", "")),
        str(dataset.get("domain", "")),
        str(dataset.get("description", "")),
        str(dataset.get("source", "")),
        str(dataset.get("licence", "")),
        f"{documents:,}" if isinstance(documents, int) else "",
    )


def _token_rows(stages: Sequence[Manifest]) -> list[tuple[str, ...]]:
    rows = []
    for manifest in stages:
        if manifest.kind not in DATA_KINDS:
            continue
        for metric, value in manifest.metrics.items():
            part, _, domain = metric.partition("/")
            if part == "tokens":
                held_out = manifest.metrics[f"validation_tokens/{domain}"]
                rows.append((domain, f"{value:,.0f}", f"{held_out:,.0f}"))
    return rows


def _conversation_rows(stages: Sequence[Manifest]) -> list[tuple[str, ...]]:
    named = {
        "conversations/train": "conversations",
        "conversations/validation": "held-out conversations",
        "preference_pairs/train": "preference pairs",
        "preference_pairs/validation": "held-out preference pairs",
    }
    return [
        (manifest.stage, what, f"{manifest.metrics[metric]:,.0f}")
        for manifest in stages
        if manifest.kind == CONVERSATIONS_KIND
        for metric, what in named.items()
        if metric in manifest.metrics
    ]


def evaluation_sections(evaluations: Mapping[str, Manifest]) -> list[str]:
    """The section on evaluations, a column for each by the stage that it measured; nothing if there are none."""
    if not evaluations:
        return []
    measured = dict.fromkeys(metric for each in evaluations.values() for metric in each.metrics)
    metrics = [metric for metric in measured if not metric.endswith(INTERVAL)]
    rows = [(metric, *(_with_interval(each.metrics, metric) for each in evaluations.values())) for metric in metrics]
    return [
        "## Evaluation",
        "Losses are in nats per token on held-out documents; accuracies are judged by verifiers on held-out "
        "prompts, with 95 % intervals where there are any. A floor is what the best reply earns that is always the "
        "same, on the same prompts. A column is the model after that stage.",
        markdown_table(("metric", *evaluations), rows),
    ]


def _license(released: Released) -> str:
    own = (
        "The model's owner has not set one."
        if released.license is None
        else f"{released.license}, as the model's owner has set it."
    )
    of_data = sorted({str(each["licence"]) for each in released.datasets if each.get("licence")})
    return f"{own} Licenses of the data: {'; '.join(of_data)}." if of_data else own


def _sample(sample: Mapping[str, str]) -> str:
    # Indented by four spaces it is a code block, which nothing that the model writes can end.
    return textwrap.indent(f"> {sample['prompt']}\n{sample['answer']}", "    ", lambda line: True)


def markdown_table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table in Markdown; line breaks and bars inside a cell stay in it."""
    lines = [tuple(header)]
    lines += [tuple("-" * 3 for _ in lines[0]), *(tuple(row) for row in rows)]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _with_interval(metrics: Mapping[str, float], metric: str) -> str:
    low, high = (metrics.get(f"{metric}{end}") for end in INTERVAL)
    of = "" if low is None or high is None else f" ({low:.2f} to {high:.2f})"
    return f"{_formatted(metrics.get(metric))}{of}"


def _formatted(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
