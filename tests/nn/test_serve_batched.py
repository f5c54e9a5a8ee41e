"""Rows with adapters of their own: every way of computing them against a loop, and places that come and go."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from nn.test_adapter_files import TOKENS, decoder  # noqa: F401  (a fixture)

from lleval_jax.errors import BadInput
from lleval_jax.lm.mesh import mesh, place
from lleval_jax.training.compress.fit import Search, compress
from lleval_jax.training.compress.folders import read_adapters
from lleval_jax.training.low_rank import lora
from lleval_jax.training.low_rank.lora import Lora
from lleval_jax.training.serve import batched
from lleval_jax.training.serve.adapted_layers import with_places
from lleval_jax.training.serve.resident import Residents

ROWS, IN, OUT, RANK, ADAPTERS = 6, 10, 8, 4, 5
IDS = jnp.array([0, 3, 3, 1, 4, 2])


def normal(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def test_uncompressed_adapters_are_a_loop_over_rows():
    x, a, b = normal(ROWS, 3, IN), normal(ADAPTERS, RANK, IN, seed=1), normal(ADAPTERS, OUT, RANK, seed=2)
    found = batched.apart(x, a, b, IDS)
    for row, i in enumerate(IDS):
        assert np.allclose(found[row], x[row] @ (b[i] @ a[i]).T, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize(("clusters", "way"), [(1, None), (3, "gathered"), (3, "all"), (3, "sorted"), (3, None)])
def test_shared_bases_are_a_loop_over_rows(clusters, way, diagonal):
    x = normal(ROWS, 3, IN)
    u, v = normal(clusters, OUT, RANK, seed=1), normal(clusters, IN, RANK, seed=2)
    cores = normal(ADAPTERS, RANK, seed=3) if diagonal else normal(ADAPTERS, RANK, RANK, seed=3)
    cluster = jnp.array([0, 1, 2, 0, 1]) % clusters
    found = jax.jit(batched.shared, static_argnums=6)(x, u, v, cores, cluster, IDS, way)
    for row, i in enumerate(IDS):
        core = jnp.diag(cores[i]) if diagonal else cores[i]
        exact = x[row] @ (u[cluster[i]] @ core @ v[cluster[i]].T).T
        assert np.linalg.norm(found[row] - exact) < 2e-6 * np.linalg.norm(exact)


def test_cores_may_be_two_thin_factors():
    x, u, v = normal(ROWS, 3, IN), normal(3, OUT, RANK, seed=1), normal(3, IN, RANK, seed=2)
    left, right = normal(ADAPTERS, RANK, 1, seed=3), normal(ADAPTERS, 1, RANK, seed=4)
    for way in ("gathered", "all", "sorted"):
        one, two = (
            batched.shared(x, u, v, cores, jnp.array([0, 1, 2, 0, 1]), IDS, way)
            for cores in ((left, right), left @ right)
        )
        assert np.allclose(one, two, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def adapters(decoder, tmp_path_factory):  # noqa: F811
    """Three adapters as folders, and the decoder with each of them."""
    from lleval_jax.training.low_rank import adapter_files

    place, models = tmp_path_factory.mktemp("adapters"), {}
    for k in range(3):
        settings = Lora(rank=2, targets=("query", "mlp.down"), seed=k)
        model = lora.attach(decoder, settings)
        for _, each in lora.adapters(model):
            each.b[...] = normal(*each.b[...].shape, seed=k)
        adapter_files.save_peft(model, settings, place / f"task-{k}", base="toy")
        models[f"task-{k}"] = model
    return read_adapters(place), models


def hidden(residents: Residents, places) -> jax.Array:
    def found(tables, fixed, places):
        return with_places(nnx.merge(residents.shape.graph, tables, fixed), places).hidden(
            jnp.asarray(TOKENS)[:1].repeat(len(places), 0)
        )

    return jax.jit(found)(residents.tables, residents.fixed, jnp.asarray(places))


def test_uncompressed_adapters_come_and_go(decoder, adapters):  # noqa: F811
    collection, models = adapters
    residents = Residents.apart(decoder, collection.shapes, rank=2, capacity=4)
    for each in collection.adapters:
        residents.add(each.name, residents.padded(each))
    exact = {name: model.hidden(jnp.asarray(TOKENS)[:1])[0] for name, model in models.items()}
    found = hidden(residents, [residents.take(name) for name in ("task-2", None, "task-0")])
    bare = decoder.hidden(jnp.asarray(TOKENS)[:1])[0]
    for row, one in zip(found, (exact["task-2"], bare, exact["task-0"]), strict=True):
        assert np.allclose(row, one, atol=2e-5)
    with pytest.raises(BadInput, match="all 3 places are taken"):
        residents.add("more", residents.padded(collection.adapters[0]))
    residents.remove("task-1")
    residents.add("task-1b", residents.padded(collection.adapters[0]))
    assert np.allclose(hidden(residents, [residents.take("task-1b")])[0], exact["task-0"], atol=2e-5)


def test_a_place_in_use_is_not_given_away(decoder, adapters):  # noqa: F811
    collection, _ = adapters
    residents = Residents.apart(decoder, collection.shapes, rank=2, capacity=2)
    residents.add("one", residents.padded(collection.adapters[0]))
    place = residents.take("one")
    residents.remove("one")
    with pytest.raises(BadInput, match="there is no adapter 'one'"):
        residents.take("one")
    with pytest.raises(BadInput, match="all 1 places are taken"):
        residents.add("two", residents.padded(collection.adapters[1]))
    residents.let_go(place)
    residents.add("two", residents.padded(collection.adapters[1]))
    assert residents.names == ("two",)


@pytest.mark.parametrize(("method", "clusters"), [("full", 1), ("full", 2), ("diag", 1)])
def test_shared_adapters_are_those_that_are_exported(decoder, adapters, method, clusters):  # noqa: F811
    collection, _ = adapters
    shared = compress(collection, 5, method=method, clusters=clusters, search=Search(starts=1))
    residents = Residents.of(decoder, shared, capacity=5)
    assert residents.thin == (2 if method == "full" else 0)
    residents.remove("task-1")
    residents.add("task-1", residents.within(shared, "task-1"))
    found = hidden(residents, [residents.take(name) for name in shared.names])
    for row, name in zip(found, shared.names, strict=True):
        given = shared.factors(name)
        alone = lora.attach(decoder, Lora(rank=5, alpha=5, targets=("query", "mlp.down")))
        for path, each in lora.adapters(alone):
            module = {"query": "self_attn.q_proj", "down": "mlp.down_proj"}[path[-1]]
            pairs = [given[f"model.layers.{k}.{module}"] for k in range(3)]
            each.a[...] = jnp.stack([a for a, _ in pairs])
            each.b[...] = jnp.stack([b for _, b in pairs])
        assert np.allclose(row, alone.hidden(jnp.asarray(TOKENS)[:1])[0], atol=2e-5)


def test_another_models_adapters_are_refused(decoder):  # noqa: F811
    with pytest.raises(BadInput, match="the model has no module 'h.0.attn'"):
        Residents.apart(decoder, {"h.0.attn": (4, 4)}, rank=2, capacity=4)
    names = [f"model.layers.{k}.self_attn.q_proj" for k in range(3)]
    with pytest.raises(BadInput, match="in the model and 16 x 12 in the adapters; they are of another"):
        Residents.apart(decoder, dict.fromkeys(names, (16, 12)), rank=2, capacity=4)
    with pytest.raises(BadInput, match="1 of 3 layers of blocks.attention.query have adapters"):
        Residents.apart(decoder, {"model.layers.0.self_attn.q_proj": (16, 16)}, rank=2, capacity=4)


def test_a_core_that_does_not_fit_two_thin_factors_is_refused(decoder, adapters):  # noqa: F811
    shared = compress(adapters[0], 5, search=Search(starts=1))
    residents = Residents.of(decoder, shared, capacity=5)
    wild = {
        key: module._replace(cores=module.cores + np.eye(5, dtype=np.float32)) for key, module in shared.modules.items()
    }
    with pytest.raises(BadInput, match="of adapter 'task-0' has a rank above 2"):
        residents.within(dataclasses.replace(shared, modules=wild), "task-0")


@pytest.mark.parametrize("capacity", [5, None])
def test_adapters_on_eight_devices_compute_the_same(decoder, adapters, capacity):  # noqa: F811
    shared = compress(adapters[0], 5, search=Search(starts=1))
    spread = nnx.merge(*nnx.split(decoder))
    place(spread, mesh(data=2, tensor=4))
    one, many = (Residents.of(each, shared, capacity) for each in (decoder, spread))
    devices = {
        table[...].addressable_shards[0].data.size / table[...].size
        for path, table in nnx.to_flat_state(many.tables)
        if path[-1] in ("left", "right", "cluster")
    }
    assert devices == {1 if capacity else 1 / 8}
    places = [0, *(one.take(name) for name in shared.names)]
    assert np.allclose(hidden(one, places), hidden(many, places), atol=2e-5)
    assert many.capacity == (capacity or 8)
    many.remove("task-1")
    many.add("task-1", many.within(shared, "task-0"))
    assert np.allclose(hidden(many, [many.take("task-1")]), hidden(one, [one.take("task-0")]), atol=2e-5)
