"""Learns from examples which documents are good, and scores others, with classifiers of n-grams of words.

`classifier.load_scorer` gives the probability of a label by a trained classifier, or by a fastText file; the recipe
step `classifier` uses it. `torch_training.train_and_save` makes one from examples in memory, as the step
`quality_classifier` does, and `python -m pipeline.curation.quality.train` one from files. `hashing` turns texts into
rows of the classifier's table, `model_card` measures it on examples held out and writes its card.
"""
