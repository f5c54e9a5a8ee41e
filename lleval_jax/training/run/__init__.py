"""A training run: from preferences to what a model has learned of them, stopped and gone on with as if never stopped.

recipe, schedule      what a run is asked to do
batches, plan         preferences as rows of tokens: in which order, packed how
step                  the compiled part: log-probabilities, gradients, the optimiser's step
loop                  all steps
pace, peak,
operations            how fast it goes, against what the devices can do
checkpoints, stores,
board, same_run       the folder of a run: what it writes, and whether it is this run's
trained               what it gives
"""
