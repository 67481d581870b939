"""The sections of a report: each is a function from what a run left to blocks."""
