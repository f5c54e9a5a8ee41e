"""A benchmark that grows by itself: from papers that may be shared to questions about their figures and tables.

Papers are fetched by licence and date (`papers`, `licences`, `fetch`), read (`latex`, `html`, `pdf`, `elements`),
asked about (`ask`, `exact`), and the questions filtered (`filters`), described (`sheet`) and exported (`exports`).
Each step is kept by what went in (`steps`), so that a run goes on wherever it was stopped. Source of the task:
LiveXiv, Shabtay et al. 2024 (arXiv:2410.10783).

`__init__.pyi` lists the public names. Each is loaded when first used.
"""

from lleval_jax.lazy import face

face(__name__, __file__, extra="live")
