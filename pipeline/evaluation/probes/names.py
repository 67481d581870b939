"""The probes there are, by name, each with the function that writes its tasks; nothing heavy is imported."""

FAMILIES = {
    "single_needle": "pipeline.evaluation.probes.retrieval:single_needle",
    "multi_key_needle": "pipeline.evaluation.probes.retrieval:multi_key_needle",
    "short_needle": "pipeline.evaluation.probes.retrieval:short_needle",
    "variable_tracking": "pipeline.evaluation.probes.tracing:variable_tracking",
    "common_words": "pipeline.evaluation.probes.aggregation:common_words",
    "frequent_words": "pipeline.evaluation.probes.aggregation:frequent_words",
    "copying": "pipeline.evaluation.probes.copying:copying",
    "repetition": "pipeline.evaluation.probes.copying:repetition",
    "fill_in_the_middle": "pipeline.evaluation.probes.middle:fill_in_the_middle",
}
"""`module:function`, which takes a random generator and a size and gives a `Task`; a larger size, a longer one."""
