"""Asking a language model behind an OpenAI-compatible server, for whichever stage wants something written or judged.

`config` has the settings, `client` asks nothing twice and keeps to the budget, `endpoint` sends and retries,
`response_cache` keeps every reply, `rollouts` runs many questions side by side.
"""
