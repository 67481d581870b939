"""Rules for SFT conversations: what can be repaired is repaired, the rest is removed, and both are logged.

`conversation_rules` has all rules in their order, `repaired` what is certain enough to be put right. Each kind of fault
has a module.
"""

from pipeline.posttraining.data.rules.all_rules import (
    apply_rules,
    conversation_rules,
    form_rules,
    normalized,
    repair_row,
    repaired,
)
from pipeline.posttraining.data.rules.normalization import normalize_message
from pipeline.posttraining.data.rules.violation import Rule, Value, Violation

__all__ = [
    "Rule",
    "Value",
    "Violation",
    "apply_rules",
    "conversation_rules",
    "form_rules",
    "normalize_message",
    "normalized",
    "repair_row",
    "repaired",
]
