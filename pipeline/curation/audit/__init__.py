"""Keeps account of every document: what each step did to it and why, from a filter's answer to the report.

A filter answers with a `filter_result.FilterResult`. An `audit_log.AuditLog` counts the answers of each step and takes
down a row for every removal; tasks write theirs as JSON, and the last task of a domain adds them up. `examples` chooses
documents to show, `bad_share` stops a stage whose sources are damaged, `summary` makes a domain's part of the report,
and `funnel.report_lines` shows the report on a terminal.
"""
