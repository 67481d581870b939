"""A language model that judges conversations: the assistant's turns, with everything else as their context.

`config` has the settings, `rubric` what it is told, `question` how a conversation is shown to it, `verdict` what of its
reply counts, `judge` the decisions, and `gate` whether it was calibrated well enough to remove anything.
"""
