"""Language models that score and write: decoders and encoders in Flax, from the files that the world publishes.

`__init__.pyi` lists the public names. Each is loaded when first used, so `import lleval_jax.lm` loads neither Flax nor
transformers, and what needs neither, as a client of a server, works without them.
"""

from lleval_jax.lazy import face

face(__name__, __file__, extra="train")
