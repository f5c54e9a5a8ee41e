"""`lleval live`: a benchmark that grows by itself, from papers to questions."""
