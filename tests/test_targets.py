"""Every target is what it says. Most claims run over the registry: a new target is tested by being there."""

import dataclasses
import math
import pickle
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import latex2mathml.converter
import numpy as np
import pytest
import torch
from scipy import stats

from aio.link import LINK_NAMES
from aio.targets import TARGETS, Target, get_target

GRID = 400  # points along a side, or some more: at most one noise deviation apart: the midpoint rule errs by 3e-9
COARSER = {"swissroll": 200, "two_spirals": 200}  # enough for their noise, and they take their time
WIDER = {"banana": 2.0, "crescent": 2.0}  # boxes wide that a grid goes, where a tail falls off more slowly; else 1.1
FOLDS = 1e-5  # what the grid makes of the pinwheel's folds, where p is infinite; all else is far below
DRAWS = 20_000
STANDARD_ERRORS = 4
MASS = {"funnel": 0.99}  # of a target that its box must hold; else 0.999

# To the four digits of the published table: an oracle that this code had no part in.
ENTROPIES = [
    ("moons", {"noise": 0.05}, 0.2892),
    ("moons", {"noise": 0.06}, 0.4770),
    ("moons", {"noise": 0.1}, 1.0076),
    ("circles", {"noise": 0.24}, 3.2681),
    ("rings", {"noise": 0.08}, 2.6232),
    ("eight_gaussians", {}, 2.8319),
    ("checkerboard", {}, 3.4657),
    ("pinwheel", {}, 2.3178),
    ("swissroll", {}, 2.6696),
    ("two_spirals", {}, 2.6455),
    ("four_circles", {}, 2.8708),
    ("corners", {}, 2.9470),
    ("funnel", {}, 3.9365),
    ("sine_wave", {}, 1.8379),
    ("crescent", {}, 1.8379),
    ("u1", {}, 2.6600),
    ("u2", {}, 2.5821),
    ("u3", {}, 2.6267),
    ("u4", {}, 2.8101),
]


def variants(*names: str) -> list:
    """Each target at its defaults and with each parameter at the low and at the high end of its slider."""
    params = []
    for name in names or TARGETS:
        params.append(pytest.param(TARGETS[name], id=name))
        for parameter in TARGETS[name].parameters:
            for value in (parameter.minimum, parameter.maximum):
                target = get_target(name, **{parameter.name: value})
                params.append(pytest.param(target, id=f"{name}-{parameter.name}={value}"))
    return params


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def draw(target: Target, n: int = DRAWS, seed: int = 0) -> torch.Tensor:
    return target.sample(n, generator(seed), torch.float64)


def whole_box(target: Target) -> tuple[float, float, float]:
    """The middle and half the side of a box for a grid, a whole number: hard edges fall between points."""
    if target.name == "funnel":
        return 0.0, 0.0, math.ceil(5 * target.spread)
    xmin, xmax, ymin, ymax = target.extent
    return (xmin + xmax) / 2, (ymin + ymax) / 2, math.ceil(WIDER.get(target.name, 1.1) * (xmax - xmin) / 2)


def placed(target: Target, w: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The points x that the points w of a grid stand for, and log |dx/dw|: the same, but for the funnel.

    Its neck is far narrower than any step, so its grid measures x1 in widths exp(x2 / 2).
    """
    if target.name != "funnel":
        return w, torch.zeros(len(w), dtype=torch.float64)
    log_width = w[:, 1] / 2
    return torch.stack([w[:, 0] * log_width.exp(), w[:, 1]], dim=1), log_width


def taken_back(target: Target, x: torch.Tensor) -> torch.Tensor:
    """The inverse of `placed`."""
    if target.name != "funnel":
        return x
    return torch.stack([x[:, 0] * (-x[:, 1] / 2).exp(), x[:, 1]], dim=1)


@cache
def midpoint_rule(target: Target) -> tuple[float, float]:
    """The integrals of p and of -p log p over a plain grid."""
    x0, y0, half = whole_box(target)
    per_unit = math.ceil(COARSER.get(target.name, GRID) / (2 * half))  # whole numbers lie between points
    ticks = (torch.arange(2 * half * per_unit, dtype=torch.float64) + 0.5) / per_unit - half
    x, log_det = placed(target, torch.cartesian_prod(x0 + ticks, y0 + ticks))
    log_p = target.log_prob(x)
    mass = (log_p + log_det).exp() / per_unit**2
    return float(mass.sum()), -float((mass * log_p)[mass > 0].sum())


every_target = pytest.mark.parametrize("target", [pytest.param(t, id=n) for n, t in TARGETS.items()])
every_variant = pytest.mark.parametrize("target", variants())


# ---- density, entropy and samples agree ----


@every_variant
def test_density_integrates_to_one(target):
    assert midpoint_rule(target)[0] == pytest.approx(1, abs=FOLDS)


@every_variant
def test_entropy_matches_a_plain_grid(target):
    assert target.entropy == pytest.approx(midpoint_rule(target)[1], abs=5 * FOLDS)


@every_variant
def test_entropy_matches_a_monte_carlo_estimate(target):
    surprise = -target.log_prob(draw(target))
    standard_error = float(surprise.std()) / math.sqrt(DRAWS)
    rounding = 1e-12  # the checkerboard's estimate has no spread
    assert abs(float(surprise.mean()) - target.entropy) <= STANDARD_ERRORS * standard_error + rounding


@pytest.mark.parametrize(("name", "parameters", "entropy"), ENTROPIES, ids=str)
def test_entropy_matches_the_published_table(name, parameters, entropy):
    assert round(get_target(name, **parameters).entropy, 4) == entropy


@every_target
def test_samples_follow_the_density(target):
    bins, nodes = 20, 12  # a bin is at most 5 noise deviations wide: 12 Gauss-Legendre nodes are plenty
    x0, y0, half = whole_box(target)
    edges = np.linspace(-half, half, bins + 1)
    t, weight = np.polynomial.legendre.leggauss(nodes)
    ticks = (edges[:-1, None] + (t + 1) * half / bins).ravel()
    weights = np.tile(weight * half / bins, bins)
    x, log_det = placed(target, torch.cartesian_prod(torch.from_numpy(x0 + ticks), torch.from_numpy(y0 + ticks)))
    mass = (target.log_prob(x) + log_det).exp().numpy().reshape(len(ticks), -1) * np.outer(weights, weights)
    expected = DRAWS * mass.reshape(bins, nodes, bins, nodes).sum(axis=(1, 3)).ravel()

    x, y = taken_back(target, draw(target)).numpy().T
    observed = np.histogram2d(x, y, bins=(x0 + edges, y0 + edges))[0].ravel()
    common = expected >= 5  # the usual condition of the test; all other bins, and what is outside, make one
    expected = np.append(expected[common], max(DRAWS - expected[common].sum(), 1e-3))
    observed = np.append(observed[common], DRAWS - observed[common].sum())
    statistic = ((observed - expected) ** 2 / expected).sum()
    assert stats.chi2.sf(statistic, df=len(expected) - 1) > 1e-3


@every_variant
def test_extent_is_square_and_holds_the_mass(target):
    xmin, xmax, ymin, ymax = target.extent
    assert xmax - xmin == pytest.approx(ymax - ymin)
    x, y = draw(target).T
    inside = (x > xmin) & (x < xmax) & (y > ymin) & (y < ymax)
    assert float(inside.double().mean()) >= MASS.get(target.name, 0.999)


@every_target
def test_extent_changes_smoothly(target):
    for parameter in target.parameters:
        if isinstance(parameter.default, float):
            nudged = target.with_parameters(**{parameter.name: parameter.default + 1e-6})
            assert nudged.extent == pytest.approx(target.extent, abs=1e-4)


# ---- randomness and dtypes ----


@every_target
def test_same_seed_gives_same_samples(target):
    assert torch.equal(draw(target, 100), draw(target, 100))
    assert not torch.equal(draw(target, 100), draw(target, 100, seed=1))


@every_target
def test_sample_leaves_the_global_generator_alone(target):
    before = torch.get_rng_state()
    draw(target, 100)
    assert torch.equal(torch.get_rng_state(), before)


@every_target
def test_sample_casts_the_same_draws(target):
    assert target.sample(3).dtype == torch.get_default_dtype()
    assert torch.equal(target.sample(100, generator(), torch.float32), draw(target, 100).float())
    assert target.sample(0).shape == (0, 2)


@every_target
def test_log_prob_keeps_the_dtype_and_works_in_float64(target):
    x = target.sample(100, generator(), torch.float32).requires_grad_()
    log_p = target.log_prob(x)
    assert log_p.dtype == torch.float32
    assert not log_p.requires_grad
    assert torch.equal(log_p, target.log_prob(x.double()).float())


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("target", variants("checkerboard", "corners", "u2", "u3", "u4"))
def test_a_hard_edge_holds_its_own_draws_after_rounding(target, dtype):
    assert target.log_prob(target.sample(50_000, generator(), dtype)).isfinite().all()


@every_target
def test_log_prob_is_the_same_row_by_row(target):
    x = torch.cat([draw(target, 600), 10 * torch.randn(600, 2, generator=generator(), dtype=torch.float64)])
    rows = torch.cat([target.log_prob(row[None]) for row in x[::60]])
    torch.testing.assert_close(target.log_prob(x)[::60], rows, rtol=1e-12, atol=1e-12)
    assert target.log_prob(x[:0]).shape == (0,)


@every_target
def test_log_prob_of_what_is_no_point(target):
    inf, nan = math.inf, math.nan
    x = torch.tensor([[nan, 0.0], [inf, 0.0], [0.0, -inf], [inf, nan], [1e3, 1e3]])
    log_p = target.log_prob(x)
    assert log_p.isnan().tolist() == [True, False, False, True, False]
    assert log_p[1:3].tolist() == [-inf, -inf]
    assert log_p[4] < -1e3


# ---- targets are values, and the registry lists them ----


@every_variant
def test_target_pickles_to_an_equal_value(target):
    copy = pickle.loads(pickle.dumps(target))
    assert copy == target
    assert hash(copy) == hash(target)
    assert copy.with_parameters() == target


@every_target
def test_parameters_describe_the_fields(target):
    assert [p.name for p in target.parameters] == [field.name for field in dataclasses.fields(target)]
    for parameter in target.parameters:
        assert getattr(target, parameter.name) == parameter.default
        assert parameter.minimum < parameter.default < parameter.maximum
        assert parameter.step > 0
        assert parameter.label
        assert parameter.help.endswith(".")


def test_a_parameter_of_one_name_is_the_same_everywhere():
    """Links and widgets know a parameter by its name alone, whatever the target."""
    for name in {parameter.name for target in TARGETS.values() for parameter in target.parameters}:
        namesakes = [p for target in TARGETS.values() for p in target.parameters if p.name == name]
        assert len({(p.label, type(p.default)) for p in namesakes}) == 1
        assert name not in LINK_NAMES


def test_registry_lists_targets_by_name_in_order():
    first = ["moons", "circles", "rings", "eight_gaussians", "checkerboard", "pinwheel", "swissroll", "two_spirals"]
    then = ["four_circles", "corners", "funnel", "banana", "sine_wave", "crescent", "u1", "u2", "u3", "u4"]
    assert list(TARGETS) == first + then
    assert all(target.name == name and target.title and target.summary for name, target in TARGETS.items())
    with pytest.raises(TypeError):
        TARGETS["moons"] = TARGETS["rings"]


@every_target
def test_formula_and_difficulty_are_told(target):
    """The formula is read by KaTeX, and is LaTeX to latex2mathml too, which shares no code with it."""
    row = ElementTree.fromstring(latex2mathml.converter.convert(target.formula))
    signs = [element.text or "" for element in row.iter()]
    assert not [sign for sign in signs if "\\" in sign or sign == "&"]  # what it does not know it leaves as it is
    assert "".join(signs).count("=") + "".join(signs).count("~") >= 1
    assert 60 < len(target.hard) < 150
    assert target.hard.endswith(".")


def test_changing_a_parameter_makes_another_target():
    moons = TARGETS["moons"]
    assert moons.with_parameters(noise=0.1) != moons
    assert moons == get_target("moons", noise=0.05)
    assert get_target("circles", noise=0.1) != get_target("rings", noise=0.1)
    assert get_target("pinwheel", blades=4.0).blades == 4
    assert isinstance(get_target("pinwheel", blades=4.0).blades, int)


def test_the_worked_example_of_contributing_is_a_target():
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    code = text.partition("## Add a target")[2].partition("```python")[2].partition("```")[0]
    scope = {"__name__": __name__}
    exec(code, scope)
    (example,) = (c for c in scope.values() if isinstance(c, type) and c.__module__ == __name__)
    assert example.name not in TARGETS
    for noise in (example.parameters[0].minimum, example().noise, example.parameters[0].maximum):
        target = example(noise=noise)
        test_density_integrates_to_one(target)
        test_entropy_matches_a_plain_grid(target)
        test_entropy_matches_a_monte_carlo_estimate(target)
        test_extent_is_square_and_holds_the_mass(target)
    test_samples_follow_the_density(example())
    test_parameters_describe_the_fields(example())


# ---- errors say what was expected, what came, and the mend ----


@pytest.mark.parametrize(
    ("x", "error", "sentence"),
    [
        (torch.zeros(128), ValueError, "of shape (N, 2), got (128,). Add a batch axis: x[None]."),
        (torch.zeros(5, 3), ValueError, "of shape (N, 2), got (5, 3). Put one point in a row"),
        (torch.zeros(4, 5, 2), ValueError, "got (4, 5, 2). Merge the batch axes: x.reshape(-1, 2)."),
        (torch.zeros(5, 2).long(), TypeError, "floating dtype, got torch.int64. Convert it: x.double()."),
        (np.zeros((5, 2)), TypeError, "as a torch.Tensor, got ndarray. Convert it: torch.as_tensor(x)."),
    ],
    ids=["flat", "wide", "deep", "integer", "numpy"],
)
def test_log_prob_refuses_what_is_not_points(x, error, sentence):
    with pytest.raises(error, match="Expected x ") as caught:
        TARGETS["moons"].log_prob(x)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("name", "parameters", "error", "sentence"),
    [
        ("mons", {}, ValueError, "Expected a target among moons, circles"),
        ("mons", {}, ValueError, "got 'mons'. Did you mean moons?"),
        ("zebra", {}, ValueError, "got 'zebra'. Choose one of: moons, circles"),
        ("moons", {"nose": 0.1}, ValueError, "of moons, which has noise, got 'nose'. Did you mean noise?"),
        ("checkerboard", {"noise": 0.1}, ValueError, "which has none, got 'noise'. Leave it out."),
        ("moons", {"noise": 0.7}, ValueError, "from 0.02 to 0.5, got 0.7. The nearest allowed is noise=0.5."),
        ("moons", {"noise": math.nan}, ValueError, "got nan. Pass a finite one, as in noise=0.05."),
        ("moons", {"noise": math.inf}, ValueError, "got inf. Pass a finite one, as in noise=0.05."),
        ("moons", {"noise": "loud"}, TypeError, "got 'loud'. Pass a number, as in noise=0.05."),
        ("pinwheel", {"blades": 4.5}, ValueError, "whole number from 3 to 7, got 4.5. The nearest"),
        ("pinwheel", {"blades": 8}, ValueError, "got 8. The nearest allowed is blades=7."),
        ("pinwheel", {"blades": True}, TypeError, "got True. Pass a number, as in blades=5."),
    ],
    ids=str,
)
def test_get_target_says_what_it_expected_and_the_mend(name, parameters, error, sentence):
    with pytest.raises(error) as caught:
        get_target(name, **parameters)
    assert sentence in str(caught.value)


def test_sample_refuses_a_negative_count():
    with pytest.raises(ValueError, match=r"Expected n >= 0 points, got -1\. Ask for none or more"):
        TARGETS["moons"].sample(-1)
