"""Settings of evaluations that take a second on a tiny model."""

LONG_CONTEXT = {
    "beyond": 64,
    "contexts": [128, 256],
    "domains": ["code"],
    "windows": 3,
    "needles": 3,
    "value_digits": 3,
}
SETTINGS = {
    "precision": "fp32",
    "attention": "sdpa",
    "batch_tokens": 65_536,
    "headline": "loss/mean",
    "loss": {"context": 64, "sequences_per_domain": 4},
    "long_context": LONG_CONTEXT,
    "text": None,
    "probes": None,
    "accuracy": {
        "environments": ["math", "science"],
        "problems_per_environment": 5,
        "splits": ["held_out", "instances"],
        "maximum_new_tokens": 4,
        "problems": {"difficulty": 1, "assistant": "Fivephase"},
        "batch_prompts": 4,
    },
}
