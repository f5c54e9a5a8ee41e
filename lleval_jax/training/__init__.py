"""Language models that learn: alignment with preferences, and low-rank adapters.

    from lleval_jax import lm, training as tr

    trained = tr.fit(lm.load("smollm2"), pairs, loss=tr.AOT(beta=0.01), lora=tr.Lora(rank=8, learn="B"))
    tr.adapter_files.save_peft(trained.model.decoder, trained.lora, "adapter")

losses    what is minimised
weak_text what is minimised of texts whose author may be wrong
low_rank  adapters: layers, files, merging
run       a run: batches, steps, checkpoints
cost      what a run will cost, before it begins
outcome   what it has done, with intervals
classes   classifiers of texts
refine    weak labels, refined by a strong model before it learns them
aligners  models that correct the answers of others, where inspectors say so
compress  many adapters in one shared basis
serve     many adapters of one model at once

`__init__.pyi` lists the public names. Each is loaded when first used.
"""

from lleval_jax.lazy import face

face(__name__, __file__, extra="train")
