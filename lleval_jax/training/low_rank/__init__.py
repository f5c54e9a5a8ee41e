"""Low-rank adapters (Hu et al. 2021, arXiv:2106.09685; Zhu et al. 2024, arXiv:2402.16842).

lora           layers of which a low-rank change learns: both factors of it, or one
factors        how the two factors differ, and what each of them costs
dropout        of what an adapter reads, and of an encoder's own
adapter_names  what the adapted layers are called in files
adapter_files  PEFT's folders, and files of our own
adapted        a model with what an adapter learned
"""
