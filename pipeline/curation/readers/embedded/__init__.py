"""The embedded corpus: real text, code and checked mathematics that every Python installation has.

Each module offers `units(source)`, the names of what it can give in a fixed order, and `read(source, names)`,
the texts of some of them. What a unit holds depends on nothing but the versions of Python and the packages.
"""
