"""Settings of the stage `curate`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import NonNegativeInt, PositiveInt

from pipeline.core.config import Share

if TYPE_CHECKING:
    from pipeline.curation.recipes.recipe import Recipe


NEEDED = {
    "local": (),
    "slurm": ("time", "cpus_per_task", "memory_gb_per_cpu", "tasks_per_job"),
    "ray": ("cpus_per_task", "memory_gb_per_cpu"),
}
"""What a job of a kind of executor cannot do without."""


@dataclass(frozen=True, kw_only=True)
class ExecutorConfig:
    """Where the tasks of curation run: through which of datatrove's executors.

    What a job needs has no meaning on this machine: 0 and "" stand for what is not set, which Slurm and Ray refuse.
    """

    kind: Literal["local", "slurm", "ray"]
    """Processes of this machine; array jobs of a Slurm cluster; a Ray cluster (RAY_ADDRESS, else one is started)."""
    partition: str | None = None
    """Slurm: partition of the jobs."""
    time: str = ""
    """Slurm: time limit of one job, HH:MM:SS."""
    qos: str | None = None
    """Slurm: quality of service; null asks for none."""
    cpus_per_task: NonNegativeInt = 0
    """Slurm and Ray: cores reserved for a task, which uses one; more of them bring more memory."""
    memory_gb_per_cpu: NonNegativeInt = 0
    """Slurm and Ray: memory reserved for each core, in GiB."""
    tasks_per_job: NonNegativeInt = 0
    """Slurm: tasks that one job of the array does, one after the other."""
    sbatch: dict[str, str] = field(default_factory=dict)
    """Slurm: more options of sbatch by their long names, such as `account`."""

    def __post_init__(self) -> None:
        if self.kind == "slurm" and self.partition is None:
            raise ValueError("kind=slurm needs a partition, set executor.partition to one that sinfo lists")
        for name in NEEDED[self.kind]:
            if not getattr(self, name):
                raise ValueError(f"kind={self.kind} needs {name}, set executor.{name}")


@dataclass(frozen=True, kw_only=True)
class CurateConfig:
    """From the sources that recipes name to deduplicated, filtered documents."""

    recipes: str | dict[str, dict[str, Any]]
    """Folder of recipes, one YAML file per domain; a relative path is looked for in the working directory, then among
    the built-in ones. Or the recipes themselves, by domain."""
    domains: tuple[str, ...] | None
    """Domains to curate, of those in the folder; null takes all of them."""
    recipe: str | None
    """One recipe alone: a domain of the folder, with what it is made from, or the path of a YAML file."""
    tasks: PositiveInt = field(metadata={"fingerprint": False})
    """Parts that each domain's sources are divided into; they never change the result."""
    workers: PositiveInt | None = field(metadata={"fingerprint": False})
    """Tasks at the same time; null is one per core, with Slurm and Ray as many as they give."""
    executor: ExecutorConfig = field(metadata={"fingerprint": False})
    """Which machines do the tasks."""
    maximum_bad_share: Share = field(metadata={"fingerprint": False})
    """Share of a domain's records that may be no documents; with more, something is wrong and the stage fails."""
    maximum_bad_files: Share = field(metadata={"fingerprint": False})
    """Share of a domain's files that may be cut short, damaged, empty or unreadable."""
    documents_per_file: PositiveInt
    """Documents in one output file."""

    def data_fingerprint(self) -> dict[str, Any]:
        """What the recipes say and which data they name: a part of the stage's fingerprint.

        Raises:
            RecipeError: for a recipe that cannot be used.
            DataError: for a benchmark, classifier or tokenizer that is not there.
        """
        from pipeline.curation.decontamination.benchmarks import describe_benchmarks
        from pipeline.curation.readers.source_files import describe
        from pipeline.curation.recipes.recipe import recipe_name
        from pipeline.curation.recipes.referenced_files import describe_files, describe_runs
        from pipeline.curation.recipes.steps.classifiers import model_files
        from pipeline.curation.recipes.steps.contamination import Decontaminate
        from pipeline.curation.recipes.steps.duplicates import ExactDedup, MinHash, SubstringDedup

        return {
            recipe.domain: {
                **recipe.as_json(),
                "sources_found": [describe(source) for source in recipe.sources],
                "benchmarks_found": [
                    describe_benchmarks(step.benchmarks, recipe_name(self.recipes, recipe.domain))
                    for step in recipe.steps
                    if isinstance(step, Decontaminate)
                ],
                "models_found": [
                    describe_files(model_files(step), recipe_name(self.recipes, recipe.domain)) for step in recipe.steps
                ],
                "runs_found": [
                    describe_runs(step.against, recipe_name(self.recipes, recipe.domain))
                    for step in recipe.steps
                    if isinstance(step, ExactDedup | MinHash | SubstringDedup)
                ],
            }
            for recipe in self.load()
        }

    def document_domains(self) -> list[str]:
        """The domains that these settings make documents of.

        Raises:
            RecipeError: for a recipe that cannot be used.
        """
        return [recipe.domain for recipe in self.load()]

    def load(self) -> "list[Recipe]":
        """Reads and checks the recipes that these settings name.

        Raises:
            RecipeError: for a recipe that cannot be used.
        """
        from pipeline.curation.recipes.recipe import load_recipes

        recipes = Path(self.recipes) if isinstance(self.recipes, str) else self.recipes
        return load_recipes(recipes, self.domains, self.recipe)
