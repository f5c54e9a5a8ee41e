"""Language models that score and write: decoders and encoders in Flax, from the files that the world publishes."""
