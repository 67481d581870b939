"""The last checkpoint and all manifests turned into a Hugging Face folder with a model card and a data disclosure.

`release.run` is the stage. `folder` writes the folder and has it answer in a process without this package, `lineage`
follows the manifests back to the data, and `model_card` writes what they say. `bom` writes a bill of materials and
`signing` signs a folder, for exports and the trust pack as well.
"""
