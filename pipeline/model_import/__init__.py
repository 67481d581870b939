"""A checkpoint from elsewhere turned into what the stages of this package read.

`import_model.run` is the stage. `source` finds the files and describes them for the fingerprint, `tokens` gives the
tokenizer what it lacks, `templates` chooses the chat template, and `model_checks` holds the model to what the stages
rely on.
"""
