"""Probes: tasks that a program writes and judges, so that no model has seen them and every length can be asked.

`names` lists them without importing torch. `retrieval`, `tracing`, `aggregation`, `copying` and `middle` write the
tasks, `fitting` makes each as long as asked, `probes` measures.
"""
