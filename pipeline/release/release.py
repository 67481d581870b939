"""The release stage: folder, proof, model card."""

import shutil

from pipeline.core.context import StageContext, StageResult
from pipeline.core.files import write_json
from pipeline.environments.registry import problems, verify
from pipeline.release.config import ReleaseConfig
from pipeline.release.folder import answer_alone, write_folder
from pipeline.release.lineage import disclosed, lineage
from pipeline.release.model_card import model_card

MODEL = "model"
"""Role of the checkpoint that is released; every other input is an evaluation."""


def run(context: StageContext[ReleaseConfig]) -> StageResult:
    """Writes `model/`, has it answer in a process without this package, and adds the model card.

    Raises:
        CheckpointError: if the checkpoint cannot be loaded.
        ArtifactError: if the folder does not stand alone, or its lineage is broken.
    """
    config = context.config
    source = context.inputs[MODEL]
    stages = lineage(source)
    folder = context.output / "model"
    shutil.rmtree(folder, ignore_errors=True)
    context.progress.start(3, unit="steps", label="writing the folder")
    facts = write_folder(source.checkpoint, folder, config.precision)
    context.progress.start(3, unit="steps", label="loading it elsewhere", done=1)
    # The evaluations' own prompts, so that the answers shown are among those measured.
    posed = [problems(domain, 1, context.seed, "held_out", config.problems)[0] for domain in config.sample_environments]
    prompts = [problem.prompt for problem in posed]
    answers = answer_alone(folder, prompts, config.maximum_new_tokens, config.timeout_seconds)
    samples = [
        {"prompt": problem.prompt, "answer": answer, "verdict": verify(problem, answer).reason}
        for problem, answer in zip(posed, answers, strict=True)
    ]
    evaluations = {
        artifact.manifest.inputs[MODEL]["stage"]: artifact.manifest
        for role, artifact in context.inputs.items()
        if role != MODEL
    }
    card = model_card(config.name, facts.parameters, facts.context, config.precision, stages, evaluations, samples)
    (folder / "README.md").write_text(card)
    write_json(folder / "data_disclosure.json", disclosed(stages, source.directory.parent))
    context.progress.advance(2)
    return StageResult(metrics={"parameters": float(facts.parameters)}, samples=samples)
