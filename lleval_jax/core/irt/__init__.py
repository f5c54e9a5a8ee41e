"""Item response: curves, likelihoods, marginal and joint fits, and what an answer says of an ability."""
