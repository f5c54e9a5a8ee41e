"""Tables of log-probabilities in memory are read as those in files."""

import numpy as np
import pyarrow as pa
import pytest

from lleval_jax import data
from lleval_jax.errors import BadInput

FRAME = data.simulate_logprobs({"task": 0.6, "rules": 0.4}, 5, seed=1)


@pytest.mark.parametrize("kind", [lambda f: f, pa.Table.from_pandas, lambda f: f.to_dict(orient="records")])
def test_log_probabilities(tmp_path, kind):
    FRAME.to_csv(tmp_path / "a.csv", index=False)
    want = data.read_logprobs(tmp_path / "a.csv")
    for given, words in (
        (FRAME, {}),
        (FRAME.rename(columns={"element": "variant"}), {"columns": {"element": "variant"}}),
    ):
        found = data.read_logprobs(kind(given), **words)
        assert (found.texts, found.elements) == (want.texts, want.elements)
        np.testing.assert_allclose(found.single, want.single, rtol=1e-12)
    with pytest.raises(BadInput, match=r"has no column 'element'; it has 'text', 'variant', 'logprob'"):
        data.read_logprobs(kind(FRAME.rename(columns={"element": "variant"})))
    with pytest.raises(BadInput, match=r", row 2: logprob"):
        data.read_logprobs(kind(FRAME.assign(logprob=np.where(FRAME.index == 1, 3.0, FRAME.logprob))))
