"""Which data domains a run tokenizes and measures: those that its mixtures name, where a configuration lists none."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pipeline.control.frozen_stages import FrozenStage
from pipeline.core.artifact import read_manifest
from pipeline.core.config import RunConfig, StageConfig, build, nearest
from pipeline.core.domains import in_order
from pipeline.core.errors import ConfigError
from pipeline.stages import load_symbol, stage_type
from pipeline.tokenization.config import DOCUMENT_ROLES, LONG

Stages = Mapping[str, StageConfig | None]


def with_domains(stages: Stages) -> dict[str, StageConfig | None]:
    """The same stages, with a list wherever null stands for the domains that mixtures name.

    A stage that tokenizes gets every domain that has a weight above 0 in a mixture of its tokens, or whose long
    documents are evaluated; an evaluation of long context gets the mixture of the phase with the longest context.
    Settings of another type than they must have stay as they are: the dataclass of their kind says what is wrong.
    """
    found: dict[str, StageConfig | None] = dict(stages)
    for name, stage in _of_kind(stages, "evaluate"):
        long_context = stage.config.get("long_context")
        if isinstance(long_context, Mapping) and long_context.get("domains", ()) is None:
            domains = _longest(stages, stage.inputs.get("tokens"))
            found[name] = _with(stage, long_context={**long_context, "domains": domains})
    for name, stage in _of_kind(stages, "tokenize"):
        if stage.config.get("domains", ()) is None:
            long_documents = stage.config.get("long_documents") or {}
            named = [_tokenized_as(each, long_documents) for _, each in named_domains(found, name)]
            found[name] = _with(stage, domains=in_order(named))
    return found


def named_domains(stages: Stages, tokens: str) -> Iterator[tuple[str, str]]:
    """The domains that are taken from the tokens of a stage, each with the key that names it, in order."""
    for name, stage in _of_kind(stages, "pretrain"):
        if stage.inputs.get("tokens") == tokens:
            for domain in _mixture(stage):
                yield f"stages.{name}.config.mixture.{domain}", domain
    for name, stage in _of_kind(stages, "sft"):
        replay = stage.config.get("text_replay")
        if stage.inputs.get("tokens") == tokens and isinstance(replay, Mapping):
            for domain in _weighted(replay.get("mixture")):
                yield f"stages.{name}.config.text_replay.mixture.{domain}", domain
    for name, stage in _of_kind(stages, "evaluate"):
        long_context = stage.config.get("long_context")
        if stage.inputs.get("tokens") == tokens and isinstance(long_context, Mapping):
            for domain in long_context.get("domains") or ():
                yield f"stages.{name}.config.long_context.domains={domain}", domain


def check_domains(config: RunConfig, frozen: Iterable[FrozenStage], selected: Iterable[FrozenStage]) -> None:
    """Makes sure that every domain that is going to be tokenized is made by a recipe, or by synthesis.

    Args:
        config: of the run.
        frozen: all its stages.
        selected: those that are to run; of them, those that tokenize are looked at.

    Raises:
        ConfigError: for a domain that nothing makes, with the key that names it and the nearest that there is.
    """
    by_name = {stage.stage: stage for stage in frozen}
    for stage in selected:
        if stage.kind != "tokenize":
            continue
        sources = [by_name[stage.inputs[role]["stage"]] for role in DOCUMENT_ROLES if role in stage.inputs]
        made = {domain for source in sources for domain in _made_by(source, config.root)}
        long_documents = stage.config["long_documents"]
        named: dict[str, str] = {}
        for key, domain in named_domains(config.stages, stage.stage):
            named.setdefault(_tokenized_as(domain, long_documents), key)
        for domain in stage.config["domains"]:
            if domain not in made:
                key = named.get(domain, f"stages.{stage.stage}.config.domains={domain}")
                raise ConfigError(f"{key}: no recipe makes this domain, {nearest(domain, made)}")


def _made_by(stage: FrozenStage, root: str) -> Iterable[str]:
    """The domains that a stage writes documents of, or has written."""
    if stage.folder is not None:
        manifest = read_manifest(stage.directory(root))
        files = manifest.files if manifest is not None else ()
        return {name.split("/")[1] for name in files if name.startswith("documents/")}
    config = build(
        load_symbol(stage_type(stage.kind, stage.stage).config), stage.config, f"stages.{stage.stage}.config"
    )
    return config.document_domains()


def _of_kind(stages: Stages, kind: str) -> Iterator[tuple[str, StageConfig]]:
    yield from ((name, stage) for name, stage in stages.items() if stage is not None and stage.kind == kind)


def _mixture(stage: StageConfig) -> list[str]:
    """The domains of a phase's mixture that have a weight."""
    return _weighted(stage.config.get("mixture"))


def _weighted(mixture: object) -> list[str]:
    return [str(domain) for domain, weight in mixture.items() if weight != 0] if isinstance(mixture, Mapping) else []


def _longest(stages: Stages, tokens: str | None) -> list[str]:
    """The mixture of the phase with the longest context among those that read some tokens; the last one of equals."""
    phases = [stage for _, stage in _of_kind(stages, "pretrain") if stage.inputs.get("tokens") == tokens]
    contexts = [context if isinstance(context := stage.config.get("context"), int) else 0 for stage in phases]
    longest = max(range(len(phases)), key=lambda number: (contexts[number], number), default=None)
    return [] if longest is None else _mixture(phases[longest])


def _tokenized_as(domain: str, long_documents: Mapping[str, Any]) -> str:
    """The domain whose documents another one is written of: `books` for `books_long`, if its long documents are."""
    base = domain.removesuffix(LONG)
    return base if base in long_documents else domain


def _with(stage: StageConfig, **settings: Any) -> StageConfig:
    return dataclasses.replace(stage, config={**stage.config, **settings})
