"""What must be said of a released model and its data, gathered from the run's manifests, recipes and audit alone.

`disclose.run` is the stage. `evidence` follows the manifests; `eu_summary` writes the European Commission's summary of
training content, `data_fields` IBM's disclosure, `croissant` the description of the curated data; bill of materials and
signature are those of `pipeline.release`. What the run does not know is said to be not known, never guessed.
"""
