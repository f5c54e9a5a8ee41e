"""Our side of the decoding contest: the compiled loop of `lm.generate`, greedy."""

from __future__ import annotations

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))

from bench.lm import timing  # noqa: E402


def main() -> None:
    """Time each number of rows."""
    wanted = timing.asked(["float32", "bfloat16"])

    import jax
    import jax.numpy as jnp
    import numpy as np
    from flax import nnx

    from bench.lm.models import prompts
    from lleval_jax.lm import decoding, families, safetensors_files, weights
    from lleval_jax.lm.decoder import Decoder
    from lleval_jax.lm.groups import length_of
    from lleval_jax.lm.sampling import Sampling

    hf = json.loads((wanted.folder / "config.json").read_text())
    config = families.read_config(hf)
    decoder = nnx.eval_shape(lambda: Decoder(config, dtype=jnp.dtype(wanted.variant)))
    stored = safetensors_files.read(wanted.folder)
    weights.fill(decoder, families.family(hf).tensors(config, stored), stored, wanted.folder)
    program, how = decoding.program(decoder), Sampling()
    choice = decoding.Choice.of(how, ())

    def contest(rows: int) -> dict:
        (piece,) = decoding.pieces(list(prompts(rows, wanted.prompt, config.vocab)), rows)
        length = length_of(wanted.prompt, wanted.tokens + 1, wanted.tokens + 1)

        def read() -> decoding.State:
            key = jax.random.wrap_key_data(jnp.zeros((rows, 2), jnp.uint32), impl="threefry2x32")
            none = jnp.zeros(rows, jnp.int32), jnp.zeros((rows, 0), bool)
            state = decoding.State(program.cache(rows, length), *none, key, jnp.int32(0), jnp.zeros(rows, bool))
            return jax.block_until_ready(decoding.begin(*program.model, state, *piece, choice, steps=how.steps))

        def write(state: decoding.State) -> list[list[int]]:
            parts = [np.asarray(state.token)[:, None]]
            for done in range(0, wanted.tokens, decoding.CHUNK):
                most = min(decoding.CHUNK, wanted.tokens - done)
                state, out = decoding.write(*program.model, state, choice, jnp.int32(most), steps=how.steps)
                parts.append(np.asarray(out)[:, :most])
            return np.concatenate(parts, 1).tolist()

        return timing.timed(read, write, wanted.repeats)

    found = {str(rows): contest(rows) for rows in wanted.rows}
    timing.keep(wanted.out, found, gigabytes_a_second=bandwidth())


def bandwidth(megabytes: int = 512) -> float:
    """Of a copy in memory by both cores, bytes read and written, best of five."""
    import concurrent.futures
    import os
    import time

    import numpy as np

    cores = len(os.sched_getaffinity(0))
    source, target = (np.zeros((cores, megabytes * 2**20 // cores // 8)) for _ in range(2))
    source += 1.0
    seconds = []
    with concurrent.futures.ThreadPoolExecutor(cores) as pool:
        for _ in range(6):
            began = time.perf_counter()
            list(pool.map(lambda core: np.copyto(target[core], source[core]), range(cores)))
            seconds.append(time.perf_counter() - began)
    return 2 * source.nbytes / min(seconds[1:]) / 1e9


if __name__ == "__main__":
    main()
