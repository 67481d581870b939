"""Reports: the folder of a run, finished or not → one self-contained page, and the same as Markdown.

`run_data` reads what there is, `sections/` says what it shows, as `blocks` that know nothing of a format, and `html`
and `markdown` write these. `comparing` lays several runs side by side, `following` keeps the report of a running chain
up to date.
"""
