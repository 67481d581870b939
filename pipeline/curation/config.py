"""Settings of the `curate` and `synthesize` stages."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pipeline.curation.recipes.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class ExecutorConfig:
    """Where the tasks of curation run: through which of datatrove's executors."""

    kind: Literal["local", "slurm", "ray"] = "local"
    """Processes of this machine; array jobs of a Slurm cluster; a Ray cluster (RAY_ADDRESS, else one is started)."""
    partition: str | None = None
    """Slurm's partition."""
    time: str = "24:00:00"
    """Slurm's time limit of one job, HH:MM:SS."""
    qos: str | None = None
    """Slurm's quality of service; null asks for none."""
    cpus_per_task: int = 1
    """Cores reserved for a task, which uses one: more of them bring more memory."""
    memory_gb_per_cpu: int = 4
    """Memory reserved for each core, in GiB."""
    tasks_per_job: int = 1
    """Tasks that one job of the array does, one after the other."""
    sbatch: dict[str, str] = field(default_factory=dict)
    """More options of sbatch by their long names, such as `account`."""

    def __post_init__(self) -> None:
        if self.kind == "slurm" and self.partition is None:
            raise ValueError("kind=slurm needs a partition, set executor.partition to one that sinfo lists")
        for name in ("cpus_per_task", "memory_gb_per_cpu", "tasks_per_job"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, set 1 or more")


@dataclass(frozen=True, kw_only=True)
class CurateConfig:
    """From the sources that recipes name to deduplicated, filtered documents."""

    recipes: str
    """Folder of recipes, one YAML file per domain. A relative path is looked for in the working directory, then
    among the built-in ones."""
    domains: tuple[str, ...] | None = None
    """Domains to curate, of those in the folder; null takes all of them."""
    recipe: str | None = None
    """One recipe alone: a domain of the folder, with what it is made from, or the path of a YAML file."""
    tasks: int = field(default=4, metadata={"fingerprint": False})
    """Parts that each domain's sources are divided into; they never change the result."""
    workers: int | None = field(default=None, metadata={"fingerprint": False})
    """Tasks at the same time; null is one per core, on a cluster as many as it gives."""
    executor: ExecutorConfig = field(default_factory=ExecutorConfig, metadata={"fingerprint": False})
    """Which machines do the tasks."""
    maximum_bad_share: float = field(default=0.01, metadata={"fingerprint": False})
    """Share of a domain's records that may be no documents; with more, something is wrong and the stage fails."""
    maximum_bad_files: float = field(default=0.05, metadata={"fingerprint": False})
    """Share of a domain's files that may be cut short, damaged, empty or unreadable."""
    documents_per_file: int = 50_000
    """Documents in one output file."""

    def __post_init__(self) -> None:
        for name in ("tasks", "workers", "documents_per_file"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}, set 1 or more")
        for name in ("maximum_bad_share", "maximum_bad_files"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, set 0 to 1")

    def data_fingerprint(self) -> dict[str, Any]:
        """What the recipes say and which data they name: a part of the stage's fingerprint.

        Raises:
            RecipeError: for a recipe that cannot be used.
            DataError: for a benchmark, classifier or tokenizer that is not there.
        """
        from pipeline.curation.decontamination.benchmarks import describe_benchmarks
        from pipeline.curation.readers.source_files import describe
        from pipeline.curation.recipes.referenced_files import describe_files, describe_runs
        from pipeline.curation.recipes.steps import Decontaminate, ExactDedup, MinHash, SubstringDedup
        from pipeline.curation.recipes.steps.classifiers import model_files

        return {
            recipe.domain: {
                **recipe.as_json(),
                "sources_found": [describe(source) for source in recipe.sources],
                "benchmarks_found": [
                    describe_benchmarks(step.benchmarks, f"{self.recipes}/{recipe.domain}.yaml")
                    for step in recipe.steps
                    if isinstance(step, Decontaminate)
                ],
                "models_found": [
                    describe_files(model_files(step), f"{self.recipes}/{recipe.domain}.yaml") for step in recipe.steps
                ],
                "runs_found": [
                    describe_runs(step.against, f"{self.recipes}/{recipe.domain}.yaml")
                    for step in recipe.steps
                    if isinstance(step, ExactDedup | MinHash | SubstringDedup)
                ],
            }
            for recipe in self.load()
        }

    def load(self) -> "list[Recipe]":
        """The recipes, checked.

        Raises:
            RecipeError: for a recipe that cannot be used.
        """
        from pipeline.curation.recipes.recipe import load_recipes

        return load_recipes(Path(self.recipes), self.domains, self.recipe)
