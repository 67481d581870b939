"""The thirteen data domains of the published recipe: what the mixtures of the five training phases are made of."""

DOMAINS = (
    "common_crawl", "common_crawl_hq", "code", "math", "technical", "multilingual", "domain", "synthetic",
    "long_cot", "language_instructions", "code_instructions", "books", "code_repositories",
)  # fmt: skip
"""A recipe of curation makes one of them, a folder of token shards holds one, a mixture weighs them by name."""
