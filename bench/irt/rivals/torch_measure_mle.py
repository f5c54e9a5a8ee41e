"""torch_measure 0.1.0: 2PL by joint maximum likelihood (its "mle"), Adam or torch's L-BFGS."""

import common


def fit_with(**settings):
    """A variant: `TwoPL.fit` with these settings."""

    def prepare(problem, threads):
        import torch
        from torch_measure.models.twopl import TwoPL

        scores = torch.tensor(problem["scores"], dtype=torch.float32)
        most = settings["max_epochs"]
        short = {"method": "mle", "verbose": False, "max_epochs": 3}
        chosen = common.faster_threads(lambda: TwoPL(*scores.shape).fit(scores, **short), threads)

        def fit():
            torch.manual_seed(0)
            model = TwoPL(*scores.shape)
            history = model.fit(scores, method="mle", verbose=False, **settings)
            slopes = model.discrimination.detach().numpy().reshape(-1, 1)
            return {
                "slopes": slopes,
                "intercepts": -slopes[:, 0] * model.difficulty.detach().numpy(),
                "abilities": model.ability.detach().numpy().reshape(-1, 1),
                "steps": len(history["losses"]),
                "converged": len(history["losses"]) < most,
                "settings": ", ".join(f"{k}={v}" for k, v in settings.items()) + f", {chosen} threads",
            }

        return fit

    return prepare


if __name__ == "__main__":
    adam = fit_with(lr=0.1, max_epochs=1000)
    quasi_newton = fit_with(optimizer_cls="lbfgs", lr=0.2, max_epochs=100)
    plain = fit_with(lr=0.01, max_epochs=1000)
    common.main(
        {"best": adam, "lbfgs": quasi_newton, "defaults": plain},
        "torch-measure",
        "torch",
    )
