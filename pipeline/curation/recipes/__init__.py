"""Recipes: a YAML file per domain becomes a checked `Recipe` of sources and steps.

`recipe.load_recipes` reads a folder of them and is the entry point of the stage; `steps` holds a dataclass for each
step a recipe can name, `pipeline.curation.readers.sources` one for each kind of source. `referenced_files` gives the
hashes of files that recipes name, which are part of the stage's fingerprint.
"""
