"""girth 0.8.0: marginal maximum likelihood (its best), and joint maximum likelihood where that underflows."""

import common


def fit_by(name):
    """A variant: girth's function of that name, which wants items as rows."""

    def prepare(problem, threads):
        import girth

        scores = problem["scores"].T.astype(int)
        function = getattr(girth, name)

        def fit():
            result = function(scores)
            slopes = result["Discrimination"].reshape(-1, 1)
            return {
                "slopes": slopes,
                "intercepts": -slopes[:, 0] * result["Difficulty"],
                "settings": f"{name}, defaults (at most 25 steps; does not say whether it converged)",
            }

        return fit

    return prepare


if __name__ == "__main__":
    common.main(
        {"best": fit_by("twopl_mml"), "joint": fit_by("twopl_jml")},
        "girth",
        "numpy",
        "scipy",
    )
