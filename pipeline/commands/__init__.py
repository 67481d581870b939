"""The commands of `fivephase`: a table of them, and a function for each that takes the parsed options.

`table.py` is all that the command line imports before it knows which command is meant.
"""
