"""What all verbs share: options, inputs, progress, outputs."""
