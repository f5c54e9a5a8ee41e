"""Models as NumPyro functions: one file a model. `bayes.contract` says what a model is."""
