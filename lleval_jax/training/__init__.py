"""Language models that learn: alignment, adapters, and their compression."""
