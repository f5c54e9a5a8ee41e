"""Classes of texts, learned from labelled ones.

labelled          texts with labels, and accuracy with intervals
classifier        an encoder, adapters on it, and a head
targets           what it learns of weak labels
classify          how it learns
classifier_files  how it is kept
"""
