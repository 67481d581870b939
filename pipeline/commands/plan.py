"""Commands that look ahead: `plan` prints what a run would do, `submit` hands it to Slurm."""

import argparse

from pipeline.commands.composed import checked_run
from pipeline.commands.remembering import remembering
from pipeline.control import slurm
from pipeline.control.planning import plan_table
from pipeline.control.stage_folders import prepare
from pipeline.core.errors import EXIT_DONE


def plan(options: argparse.Namespace) -> int:
    """Prints the plan as a table, or as tab-separated values for other programs; freezes the stages if asked to."""
    run = checked_run(options)
    if options.freeze:
        selected = run.selected
        with remembering(run, options.yes):
            for stage in selected:
                prepare(stage, run.config.root)
    if options.format == "table":
        print(plan_table(run.config, run.stages, run.selected))
        return EXIT_DONE
    for stage in run.selected:
        upstream = ",".join(sorted({each["stage"] for each in stage.inputs.values() if "folder" not in each}))
        resources = stage.resources
        fields = [stage.stage, resources["nodes"], resources["processes_per_node"]]
        print(*fields, stage.directory(run.config.root).resolve(), upstream, resources["time"], sep="\t")
    return EXIT_DONE


def submit(options: argparse.Namespace) -> int:
    """Submits the selected stages, one job each."""
    run = checked_run(options)
    return slurm.submit(
        run.stages,
        run.selected,
        run.config.root,
        options.sbatch,
        options.gpus,
        options.dry_run,
        working=remembering(run, options.yes),
    )
