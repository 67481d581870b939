"""Calibration: what the judge and the verifiers find of defects that were planted, and of answers known to be right.

`good_conversations` and `defects` make the judge's cases and `judge` asks it; `answers` makes right and wrong answers
and `verifiers` grades them. `fivephase calibrate` calls both.
"""
