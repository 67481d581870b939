"""Token shards and a mixture → the sequences of a phase, in an order that is a pure function of sample number and seed.

`stream.TokenStream` gives batches for training and `stream.validation_batch` held-out ones; `mixture.Mixture` decides
which domain a sample is from and `permutation.FeistelPermutation` which sequence of the domain; `trace.Trace` inverts
all of it; `fill_in_the_middle` rearranges code. Everything here is numpy: there is no torch in this folder.
"""
