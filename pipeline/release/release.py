"""The stage `release`: writes the folder, proves that it stands alone, adds model card and data disclosure."""

import shutil

from pipeline.core.context import StageContext, StageResult
from pipeline.core.files import write_json
from pipeline.environments.registry import problems, verify
from pipeline.release.config import ReleaseConfig
from pipeline.release.folder import generate_in_isolation, write_model_folder
from pipeline.release.lineage import disclosures, lineage
from pipeline.release.model_card import model_card

MODEL = "model"
"""Role of the input whose checkpoint is released; every other input is an evaluation."""


def run(context: StageContext[ReleaseConfig]) -> StageResult:
    """Writes `model/`, has it answer held-out prompts in a process without this package, and writes its model card.

    Raises:
        CheckpointError: if the checkpoint cannot be loaded.
        ArtifactError: if the folder does not load and answer alone, or a stage of its lineage is missing or was made
            anew.
    """
    config = context.config
    source = context.inputs[MODEL]
    stages = lineage(source)
    folder = context.output / "model"
    shutil.rmtree(folder, ignore_errors=True)
    context.progress.start(3, unit="steps", label="writing the folder")
    size = write_model_folder(source.checkpoint, folder, config.precision)
    context.progress.start(3, unit="steps", label="loading it elsewhere", done=1)
    # The first prompts of the evaluations, so that the answers shown are among those that were measured.
    held_out = [problems(name, 1, context.seed, "held_out", config.problems)[0] for name in config.sample_environments]
    prompts = [problem.prompt for problem in held_out]
    answers = generate_in_isolation(folder, prompts, config.maximum_new_tokens, config.timeout_seconds)
    samples = [
        {"prompt": problem.prompt, "answer": answer, "verdict": verify(problem, answer).reason}
        for problem, answer in zip(held_out, answers, strict=True)
    ]
    evaluations = {
        artifact.manifest.inputs[MODEL]["stage"]: artifact.manifest
        for role, artifact in context.inputs.items()
        if role != MODEL
    }
    card = model_card(config.name, size.parameters, size.context, config.precision, stages, evaluations, samples)
    (folder / "README.md").write_text(card)
    write_json(folder / "data_disclosure.json", disclosures(stages, source.directory.parent))
    context.progress.advance(2)
    return StageResult(metrics={"parameters": float(size.parameters)}, samples=samples)
