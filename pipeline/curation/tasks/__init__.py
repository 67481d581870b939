"""The tasks that `curate` is made of: each reads files of a step before and writes files for a step after.

In their order: `read_and_filter.ReadAndFilter` reads sources and applies the steps that look at one document; the tasks
of `deduplicate` compare the documents of a domain with each other and, last, write the domain, after `packing` has
joined the files of repositories; `high_quality.SelectHighQuality` makes a subset of a finished domain.
`workspace.DomainWorkspace` says where a domain's files lie in between.

A task is a picklable function of its files (`executors.run_tasks.Task`); no two tasks of a step write the same file.
"""
