"""Takes repeated text out of a domain: near-duplicate documents, and passages that stand word for word elsewhere.

Exact duplicates need none of this: documents come in the order of their ids, hashes of their content, so that equal
ones are neighbors (`MergeExact` in `tasks/deduplicate.py`). The rest is arrays in files, made by the tasks there:

- Near duplicates: `shingles` hashes the n-grams of a text, `minhash` signs them, `lsh_buckets` finds documents whose
  signatures agree in a bucket, `clusters` compares those by their true similarity (`bitmap_bound` spares most of the
  comparisons), and `near_duplicates.remove_near_duplicates` keeps one document of each cluster.
- Passages: `text_units` divides a text into words, bytes or tokens, `repeated_ngrams` finds the n-grams of them that
  occurred before, and `substrings.remove_copies` takes them out.
- `previous_runs` writes what a later run needs to compare with this one, and reads what earlier ones wrote.

`text_store` holds texts on disk that are read in any order.
"""
