"""One file a method: `fit` learns from many answers, `estimate` answers from few, `choose` says what to ask."""
