"""lleval_jax: questions about language models, answered from few answers, with how sure the answer is."""
