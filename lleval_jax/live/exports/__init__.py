"""A version as people's harnesses run it: Hugging Face layout, lm-eval, lmms-eval, Inspect.

    items       rows: question, options, key, provenance, attribution; names that harnesses give them
    hf          parquet with pictures, and the card
    lm_eval     tasks for lm-eval, and for lmms-eval
    inspect     a module with tasks for Inspect
    write       the folder with all of them, NOTICE and items.csv

One config a family of licences, for share-alike is inherited by its part only.
"""
