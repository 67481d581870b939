"""The stage `release`: writes the folder, proves that it stands alone, adds model card and data disclosure."""

import shutil
from pathlib import Path

from pipeline.core.artifact import Artifact, input_folder
from pipeline.core.context import StageContext, StageResult
from pipeline.core.files import write_json
from pipeline.environments.registry import problems, verify
from pipeline.release.config import ReleaseConfig
from pipeline.release.folder import measure_in_isolation, write_model_folder
from pipeline.release.lineage import disclosures, lineage
from pipeline.release.model_card import Released, model_card
from pipeline.release.portable import READABLE

MODEL = "model"
"""Role of the input whose checkpoint is released; every other input is an evaluation."""
PRETRAINING = "pretrain"
"""Kind of the stages whose models continue texts; those of all others answer messages."""
REFERENCE = "reference.json"
"""File of the folder with its loss and greedy completions, token by token, for whoever loads it elsewhere."""


def measured_model(evaluation: Artifact) -> Path:
    """The folder of the stage whose model an evaluation measured."""
    return input_folder(evaluation.directory.parent, evaluation.manifest.inputs[MODEL])


def run(context: StageContext[ReleaseConfig]) -> StageResult:
    """Writes `model/`, has it answer held-out prompts in a process without this package, and writes its model card.

    Evaluations of models that the released one was not made from are left out of the card.

    Raises:
        CheckpointError: if the checkpoint cannot be loaded or is no language model.
        ArtifactError: if the folder does not load and answer alone, or a stage of its lineage is missing or was made
            anew.
    """
    config = context.config
    source = context.inputs[MODEL]
    made_by = lineage(source)
    stages = [each.manifest for each in made_by]
    chat = source.manifest.kind != PRETRAINING
    folder = context.output / "model"
    shutil.rmtree(folder, ignore_errors=True)
    context.progress.start(3, counted="steps", label="writing the folder")
    shape = write_model_folder(source.checkpoint, folder, config.precision, chat)
    context.progress.start(3, counted="steps", label="loading it elsewhere", done=1)
    # The first prompts of the evaluations, so that the answers shown are among those that were measured.
    held_out = [problems(name, 1, context.seed, "held_out", config.problems)[0] for name in config.sample_environments]
    texts = [{"prompt": problem.prompt, "response": problem.solution, "chat": chat} for problem in held_out]
    if not chat:
        texts = [{**text, "response": f"\n{text['response']}"} for text in texts]
    measured = measure_in_isolation(folder, texts, config.maximum_new_tokens, config.timeout_seconds)
    write_json(folder / REFERENCE, {"texts": texts, "maximum_new_tokens": config.maximum_new_tokens, **measured})
    answers = [completion["text"] for completion in measured["completions"]]
    samples = [
        {"prompt": problem.prompt, "answer": answer, "verdict": verify(problem, answer).reason}
        for problem, answer in zip(held_out, answers, strict=True)
    ]
    names = {each.directory: each.manifest.stage for each in made_by}
    places = {name: place for place, name in enumerate(names.values())}
    measured_models = {
        measured_model(artifact): artifact.manifest for role, artifact in context.inputs.items() if role != MODEL
    }
    evaluations = {names[place]: manifest for place, manifest in measured_models.items() if place in names}
    datasets = disclosures(made_by)
    released = Released(
        name=config.name,
        shape=shape,
        precision=config.precision,
        chat=chat,
        license=config.license,
        stages=stages,
        datasets=datasets,
        evaluations=dict(sorted(evaluations.items(), key=lambda each: places[each[0]])),
        samples=samples,
    )
    (folder / "README.md").write_text(model_card(released), encoding="utf-8")
    write_json(folder / "data_disclosure.json", datasets)
    for path in folder.iterdir():
        path.chmod(READABLE)
    context.progress.advance(2)
    return StageResult(metrics={"parameters": float(shape.parameters), "loss": measured["loss"]}, samples=samples)
