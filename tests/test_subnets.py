"""The conditioner networks: shapes, initial weights, and where their randomness comes from."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
import scipy.stats
import torch
from torch import nn

from aio.subnets import ACTIVATIONS, mlp
from tests.reference import seeded_globals


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def linear_layers(network: nn.Module) -> list[nn.Linear]:
    return [layer for layer in network if isinstance(layer, nn.Linear)]


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("width", "depth"), [(1, 1), (8, 0), (16, 1), (8, 3)])
@pytest.mark.parametrize(("channels_in", "channels_out"), [(1, 2), (5, 4)])
def test_mlp_has_depth_hidden_layers_of_width_units(
    channels_in: int, channels_out: int, width: int, depth: int, activation: str
) -> None:
    network = mlp(width, depth, activation, generator=rng())(channels_in, channels_out)
    sizes = [(layer.in_features, layer.out_features) for layer in linear_layers(network)]
    assert sizes == list(zip([channels_in] + [width] * depth, [width] * depth + [channels_out], strict=True))
    between = [layer for layer in network if not isinstance(layer, nn.Linear)]
    assert [type(layer) for layer in between] == [ACTIVATIONS[activation]] * depth
    assert isinstance(network[-1], nn.Linear)
    assert network(torch.zeros(7, channels_in)).shape == (7, channels_out)


def test_mlp_of_depth_0_is_affine() -> None:
    network = mlp(64, 0, generator=rng())(3, 2)
    x = torch.randn(10, 3, generator=rng(1))
    layer = linear_layers(network)[0]
    assert torch.allclose(network(x), x @ layer.weight.T + layer.bias)


def test_a_generator_determines_the_weights() -> None:
    first, again, other = (mlp(8, 2, generator=rng(seed))(3, 4).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_one_constructor_draws_every_network_anew() -> None:
    build = mlp(8, 2, generator=rng())
    assert not torch.equal(build(3, 4)[0].weight, build(3, 4)[0].weight)


def test_a_generator_leaves_torchs_own_alone() -> None:
    state = torch.get_rng_state()
    mlp(8, 2, generator=rng())(3, 4)
    assert torch.equal(torch.get_rng_state(), state)


def test_without_a_generator_torchs_own_is_used() -> None:
    networks = []
    for _ in range(2):
        with seeded_globals(7):
            networks.append(mlp(8, 2)(3, 4).state_dict())
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[0])


@pytest.mark.parametrize("fan_in", [1, 4, 100])
def test_weights_start_uniform_within_one_over_root_fan_in(fan_in: int) -> None:
    bound = 1 / math.sqrt(fan_in)
    layer = linear_layers(mlp(4000 // fan_in, 1, generator=rng())(fan_in, 2))[0]
    for values in (layer.weight, mlp(2000, 1, generator=rng(1))(fan_in, 2)[0].bias):
        values = values.detach().flatten().double().numpy()
        assert np.abs(values).max() <= bound
        assert scipy.stats.kstest(values, "uniform", args=(-bound, 2 * bound)).pvalue > 1e-3


def test_initial_distribution_is_that_of_torchs_linear_layer() -> None:
    ours = mlp(3000, 1, generator=rng())(4, 2)[0]
    with seeded_globals(0):
        torchs = nn.Linear(4, 3000)
    for name in ("weight", "bias"):
        samples = [getattr(layer, name).detach().flatten().numpy() for layer in (ours, torchs)]
        assert scipy.stats.ks_2samp(*samples).pvalue > 1e-3


def test_a_network_trains_and_pickles() -> None:
    network = mlp(8, 2, "silu", generator=rng())(3, 4)
    x = torch.randn(5, 3, generator=rng(1))
    network(x).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in network.parameters())
    again = pickle.loads(pickle.dumps(network))
    assert torch.equal(again(x), network(x))


def test_a_network_follows_torchs_default_dtype() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        network = mlp(8, 1, generator=rng())(3, 4)
    finally:
        torch.set_default_dtype(torch.float32)
    assert {p.dtype for p in network.parameters()} == {torch.float64}


@pytest.mark.parametrize(
    ("width", "depth"), [(0, 2), (-1, 2), (8, -1), (2.5, 1), (8, 1.0), ("8", 1), (None, 1)], ids=repr
)
def test_a_size_that_no_network_has_raises(width: object, depth: object) -> None:
    with pytest.raises(ValueError, match=r"^Expected integers width >= 1 and depth >= 0, got .* Try mlp\(64, 2\)"):
        mlp(width, depth)


def test_sizes_may_be_numpys() -> None:
    assert len(linear_layers(mlp(np.int64(8), np.int64(2), generator=rng())(3, 4))) == 3


@pytest.mark.parametrize("activation", ["gelu", "ReLU", None])
def test_another_activation_raises(activation: object) -> None:
    with pytest.raises(ValueError, match=r"^Expected an activation among relu, silu, tanh, got "):
        mlp(8, 2, activation)
