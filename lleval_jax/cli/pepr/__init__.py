"""`lleval pepr`: what each element of a prompt does, and which to take; the table for it from a language model."""
