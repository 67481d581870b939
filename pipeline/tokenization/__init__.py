"""Documents → a tokenizer → token shards: one train and one validation split of each domain.

Two stages: `train_tokenizer.run` (kind `tokenizer`) trains a byte-level BPE on a sample of the corpus and writes a
Hugging Face folder; `tokenize.run` (kind `tokenize`) encodes every document with it and writes the shards that
`shards.TokenShard` opens. Both are functions of the set of documents: neither how a corpus is cut into files nor how
many processes read it shows in the result.
"""
