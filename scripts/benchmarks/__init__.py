"""What scripts/benchmark.py is made of: the work, who does it, how it is measured and what is shown.

- `work`: the rows, the model and the texts, the same for everyone; `places`: the databases it is done on.
- `contender`: what one who takes part can be asked; `ours`, `floors` (the bare drivers, by hand), `peers`.
- `cases`: what is checked and timed; `measuring`: rounds in turn; `figures`: medians, P99, ratios.
- `caches`, `processes`: what has no database: cache calls, import and start-up.
- `bars`: the targets; `report`, `drawing`: terminal, JSON, Markdown, PNG, HTML.
- `own_queries`: the queries of any other project.
"""
