"""Ranks of an evaluation: they share its work, and wait for one another as long as the longest unit takes."""

from datetime import timedelta

TIME_LIMIT = timedelta(hours=4)
"""How long ranks wait for one that measures: a task of lm-evaluation-harness can take hours."""


def join_ranks(world_size: int) -> None:
    """Joins the other ranks; a collective. A single one joins nothing."""
    if world_size > 1:
        from pipeline.pretraining.engine.engine import join_process_group

        join_process_group(TIME_LIMIT)
