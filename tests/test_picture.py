"""A picture as a density, against sums written out cell by cell."""

import math
import pickle

import numpy as np
import pytest
import torch
from scipy import stats

from aio.targets import TARGETS, Target
from aio.targets.picture import PictureTarget

DRAWS = 20_000
STANDARD_ERRORS = 4
CHECKERS = np.indices((4, 4)).sum(axis=0) % 2
SHAPES = [(1, 1), (1, 7), (7, 1), (2, 2), (3, 5), (64, 33), (256, 171), (255, 256)]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rough(rows: int, cols: int, seed: int = 0) -> np.ndarray:
    """Random weights, about a third of them 0."""
    levels = np.random.default_rng(seed).integers(-128, 256, size=(rows, cols)).clip(0)
    return levels / 255 if levels.any() else np.ones((rows, cols))


def plain_log_prob(target: PictureTarget, x: float, y: float) -> float:
    """The definition, one point at a time, for points inside a cell."""
    rows, cols = target.weights.shape
    h = target.cell
    col, row = math.floor(x / h + cols / 2), math.floor(rows / 2 - y / h)
    if not (0 <= col < cols and 0 <= row < rows) or target.weights[row, col] == 0:
        return -math.inf
    return math.log(target.weights[row, col] / target.weights.sum() / h**2)


every_shape = pytest.mark.parametrize("target", [pytest.param(PictureTarget(rough(*s)), id=f"{s}") for s in SHAPES])


# ---- the density ----


@every_shape
def test_density_integrates_to_one_and_gives_the_entropy(target):
    h, (rows, cols) = target.cell, target.weights.shape
    x = (torch.arange(cols, dtype=torch.float64) + 0.3 - cols / 2) * h
    y = (torch.arange(rows, dtype=torch.float64) + 0.6 - rows / 2) * h
    log_p = target.log_prob(torch.cartesian_prod(x, y))
    p = log_p.exp() * h**2
    assert float(p.sum()) == pytest.approx(1, abs=1e-12)
    assert target.entropy == pytest.approx(-float((p * log_p)[p > 0].sum()), abs=1e-12)


@every_shape
def test_log_prob_matches_a_plain_loop(target):
    side = 1.2 * max(target.extent)
    x = side * (2 * torch.rand(500, 2, generator=generator(), dtype=torch.float64) - 1)
    expected = [plain_log_prob(target, *point) for point in x.tolist()]
    torch.testing.assert_close(target.log_prob(x), torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)


def test_entropy_matches_closed_forms():
    one = PictureTarget(np.array([[3.0]]))
    assert one.entropy == math.log(one.cell**2)
    lonely = np.zeros((20, 30))
    lonely[3, 4] = 0.1
    assert PictureTarget(lonely).entropy == pytest.approx(2 * math.log(0.25), abs=1e-12)
    assert PictureTarget(np.full((256, 256), 0.5)).entropy == pytest.approx(math.log(64), abs=1e-12)


def test_a_checkerboard_of_weights_is_the_checkerboard():
    picture, board = PictureTarget(CHECKERS), TARGETS["checkerboard"]
    assert picture.entropy == pytest.approx(board.entropy, abs=1e-12)
    x = 10 * torch.rand(2000, 2, generator=generator(), dtype=torch.float64) - 5
    torch.testing.assert_close(picture.log_prob(x), board.log_prob(x))


@every_shape
def test_entropy_matches_a_monte_carlo_estimate(target):
    surprise = -target.log_prob(target.sample(DRAWS, generator(), torch.float64))
    rounding = 1e-12
    assert (
        abs(float(surprise.mean()) - target.entropy) <= STANDARD_ERRORS * float(surprise.std()) / DRAWS**0.5 + rounding
    )


@pytest.mark.parametrize("shape", [(1, 7), (3, 5), (8, 8), (20, 13)], ids=str)
def test_samples_follow_the_density(shape):
    target = PictureTarget(rough(*shape))
    xmin, xmax, ymin, ymax = target.box
    x, y = target.sample(DRAWS, generator(), torch.float64).numpy().T
    halves = [
        np.linspace(ymin, ymax, 2 * shape[0] + 1),
        np.linspace(xmin, xmax, 2 * shape[1] + 1),
    ]  # uniform within, too
    observed = np.histogram2d(y, x, bins=halves)[0][::-1].ravel()
    expected = DRAWS * np.kron(target.weights / target.weights.sum(), np.full((2, 2), 0.25)).ravel()
    assert observed[expected == 0].sum() == 0
    assert observed.sum() == DRAWS
    statistic = ((observed - expected)[expected > 0] ** 2 / expected[expected > 0]).sum()
    assert stats.chi2.sf(statistic, df=(expected > 0).sum() - 1) > 1e-3


@every_shape
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str)
def test_a_draw_has_mass_in_every_dtype(target, dtype):
    assert target.log_prob(target.sample(50_000, generator(), dtype).double()).isfinite().all()


@every_shape
def test_a_draw_is_exact_in_float32_and_off_every_edge(target):
    x = target.sample(50_000, generator(), torch.float64)
    assert torch.equal(target.sample(50_000, generator(), torch.float32).double(), x)
    halves = 2 * x / target.cell
    assert not (halves == halves.floor()).any()


def test_an_edge_belongs_to_the_denser_of_its_cells():
    target = PictureTarget(np.array([[1.0, 0.0], [0.0, 3.0]]))
    x = torch.tensor(
        [[0.0, 0.0], [0.0, 2.0], [0.0, -2.0], [2.0, 0.0], [-4.0, 4.0], [4.0, -4.0], [4.0, 4.0], [-4.0, 0.0]]
    )
    expected = [3.0, 1.0, 3.0, 3.0, 1.0, 3.0, 0.0, 1.0]
    assert (64 * target.log_prob(x.double()).exp()).tolist() == pytest.approx(expected)
    beyond = torch.nextafter(torch.tensor([[4.0, -2.0]], dtype=torch.float64), torch.tensor(9.0, dtype=torch.float64))
    assert target.log_prob(beyond).item() == -math.inf
    tiny = torch.tensor([[-1e-300, 1.0], [1e-300, 1.0], [5e-324, -1.0]], dtype=torch.float64)
    assert target.log_prob(tiny).isfinite().tolist() == [True, False, True]


def test_log_prob_of_what_is_no_point():
    inf, nan = math.inf, math.nan
    log_p = PictureTarget(CHECKERS).log_prob(torch.tensor([[nan, 0.0], [inf, 0.0], [0.0, -inf], [1e38, -1e38]]))
    assert log_p.isnan().tolist() == [True, False, False, False]
    assert log_p[1:].tolist() == [-inf] * 3
    assert PictureTarget(CHECKERS).log_prob(torch.tensor([[1e308, 0.0]], dtype=torch.float64)).item() == -inf


@every_shape
def test_the_first_row_is_on_top_and_the_box_is_centred(target):
    rows, cols = target.weights.shape
    xmin, xmax, ymin, ymax = target.box
    assert (xmin + xmax, ymin + ymax) == (0, 0)
    assert (xmax - xmin) * rows == (ymax - ymin) * cols
    assert 4 <= max(xmax - xmin, ymax - ymin) <= 8
    left, right, low, high = target.extent
    assert left < xmin < xmax < right
    assert low < ymin < ymax < high
    assert right - left == high - low
    row, col = np.unravel_index(target.weights.argmax(), target.weights.shape)
    densest = torch.tensor([[xmin + (col + 0.5) * target.cell, ymax - (row + 0.5) * target.cell]], dtype=torch.float64)
    assert target.log_prob(densest).item() == target.log_prob(target.sample(DRAWS, generator()).double()).max()


# ---- a value among targets ----


def test_a_picture_is_a_target_and_a_value():
    weights = rough(5, 4)
    target = PictureTarget(weights)
    weights[:] = 0
    assert isinstance(target, Target)
    assert target.name not in TARGETS
    assert all([target.title, target.summary])
    copy = pickle.loads(pickle.dumps(target))
    assert copy == target == target.with_parameters() == PictureTarget(rough(5, 4).tolist())
    assert hash(copy) == hash(target)
    assert not any(t.weights.flags.writeable for t in (target, copy))
    assert target not in (PictureTarget(rough(4, 5)), PictureTarget(rough(5, 4, seed=1)), 1)
    assert PictureTarget(np.array([[-0.0, 1.0]])) == PictureTarget([[0, 1]])
    assert hash(PictureTarget(np.array([[-0.0, 1.0]]))) == hash(PictureTarget([[0, 1]]))
    assert repr(target) == "PictureTarget(5 x 4 cells)"


def test_the_same_generator_gives_the_same_draws():
    target = PictureTarget(rough(30, 20))
    before = torch.get_rng_state()
    assert torch.equal(target.sample(100, generator()), target.sample(100, generator()))
    assert not torch.equal(target.sample(100, generator()), target.sample(100, generator(1)))
    assert torch.equal(torch.get_rng_state(), before)
    assert target.sample(0).shape == (0, 2)


def test_weights_of_any_scale_are_one_density():
    for scale in (1e-300, 1e300):
        target, plain = PictureTarget(scale * rough(9, 9)), PictureTarget(rough(9, 9))
        assert target.entropy == pytest.approx(plain.entropy, abs=1e-9)
    extremes = PictureTarget([[1e-308, 1.7e308, 1.7e308]])
    assert extremes.log_prob(extremes.sample(1000, generator())).isfinite().all()


@pytest.mark.parametrize(
    ("weights", "error", "sentence"),
    [
        (np.ones(4), ValueError, "of shape (rows, cols), got (4,). Give one grey level a cell."),
        (np.ones((0, 4)), ValueError, "got (0, 4). Give"),
        (np.ones((257, 4)), ValueError, "at most 256 x 256 weights, got 257 x 4. Average them"),
        (np.array([[0, 1], [-1, 1]]), ValueError, "got -1.0 in row 1, column 0. Set it to 0"),
        (np.array([[0, math.nan]]), ValueError, "got nan in row 0, column 1. Set it to 0"),
        (np.array([[0, math.inf]]), ValueError, "got inf in row 0, column 1."),
        (np.zeros((3, 3)), ValueError, "Expected some weight above 0, got none. Give mass"),
        (np.ones((3, 3), dtype=complex), TypeError, "got dtype complex128. Convert them"),
        ("dark", TypeError, "real numbers, got dtype <U4."),
    ],
    ids=["flat", "empty", "large", "negative", "nan", "inf", "zero", "complex", "text"],
)
def test_weights_that_are_no_density_are_refused(weights, error, sentence):
    with pytest.raises(error, match="Expected ") as caught:
        PictureTarget(weights)
    assert sentence in str(caught.value)
