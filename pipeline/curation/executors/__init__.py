"""Runs independent tasks side by side, each once: on this machine, on a Slurm cluster or on a Ray cluster.

`run_tasks` takes tasks and the settings of `executor`, and comes back when all are done, so that what follows can read
what they wrote. It chooses one of datatrove's executors: `local`, `slurm` or `ray_cluster`, a module each.
`child_processes` sees to it that nothing a killed stage started goes on writing.
"""
