"""py-irt 0.7.1: variational 2PL in Pyro, hierarchical priors, default 2,000 epochs (all, or extrapolated)."""

import time

import common

EPOCHS = 2000


def fit_for(epochs):
    """A variant that trains this many of the 2,000 epochs."""

    def prepare(problem, threads):
        import numpy as np
        from py_irt.config import IrtConfig
        from py_irt.dataset import Dataset
        from py_irt.training import IrtModelTrainer

        rows, items = problem["scores"].shape

        def dataset():  # straight into its own class: much faster than through JSON lines or pandas
            row, item = np.indices((rows, items)).reshape(2, -1).tolist()
            row_names, item_names = map(str, range(rows)), map(str, range(items))
            row_of, item_of = dict(enumerate(row_names)), dict(enumerate(item_names))
            return Dataset.model_construct(
                item_ids=set(item_of.values()),
                subject_ids=set(row_of.values()),
                ix_to_item_id=item_of,
                item_id_to_ix={name: index for index, name in item_of.items()},
                ix_to_subject_id=row_of,
                subject_id_to_ix={name: index for index, name in row_of.items()},
                observation_subjects=row,
                observation_items=item,
                observations=problem["scores"].ravel().tolist(),
                training_example=[True] * (rows * items),
                anchor_items=None,
            )

        def clock():
            return np.array([time.perf_counter(), time.process_time()])

        def new():
            config = IrtConfig(model_type="2pl", priors="hierarchical", epochs=EPOCHS)
            return IrtModelTrainer(data_path=None, config=config, dataset=dataset(), verbose=False)

        trial = new()
        chosen = common.faster_threads(lambda: trial.train(epochs=2), threads)

        def fit():
            start = clock()
            trainer = new()
            built = clock()
            if epochs < EPOCHS:
                trainer.train(epochs=1)
            one = clock()
            trainer.train(epochs=epochs)
            each = (clock() - one - (one - built)) / (epochs - 1)
            found = trainer.last_params
            slopes = np.array(found["disc"]).reshape(-1, 1)
            result = {
                "slopes": slopes,
                "intercepts": -slopes[:, 0] * np.array(found["diff"]),
                "abilities": np.array(found["ability"]).reshape(-1, 1),
                "steps": epochs,
                "settings": f"hierarchical priors, {epochs} of {EPOCHS} epochs, Adam .1, {chosen} threads",
            }
            if epochs < EPOCHS:
                seconds, cpu = one - start + each * (EPOCHS - 1)
                result["whole"] = {"seconds": seconds, "cpu_seconds": cpu}
                result["whole"]["from"] = f"{epochs} of {EPOCHS} epochs"
            return result

        return fit

    return prepare


if __name__ == "__main__":
    variants = {"best": fit_for(20), "complete": fit_for(EPOCHS)}
    common.main(variants, "py-irt", "pyro-ppl", "torch")
