"""The ground floor that every other package stands on: files, artifacts, configuration, and what a stage is given.

`config.build` turns mappings into checked dataclasses. `artifact.publish` finishes the folder of a stage, and
`artifact.load` verifies one. `context.StageContext` is what a stage's function takes, `context.StageResult` what it
returns. `errors` has the errors that a user can cause; `progress` and `tracking` are what a running stage shows of
itself.
"""
