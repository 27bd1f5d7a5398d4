"""Ψ, log Ψ and Ψ⁻¹: against closed forms, and finite where the reference is not."""

from __future__ import annotations

import math

import mpmath
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from aio.global_affine import GLOBAL_AFFINE_TYPES, global_affine, global_affine_inverse
from tests.reference import assert_close, psi_of

every_kind = pytest.mark.parametrize("kind", GLOBAL_AFFINE_TYPES)
repeatable = settings(max_examples=200, deadline=None, derandomize=True, database=None)

# d log Ψ/dg as g → −∞: each kind ends as an exponential.
TAIL_SLOPE = {"SIGMOID": 1.0, "SOFTPLUS": 0.5, "EXP": 1.0}


def log_psi_exactly(g: float, kind: str) -> float:
    """log Ψ(g) with 60 digits."""
    with mpmath.workdps(60):
        g = mpmath.mpf(g)
        if kind == "SIGMOID":
            return float(mpmath.log(10 / (1 + mpmath.exp(2 - g))))
        return float(mpmath.log(2 * mpmath.log1p(mpmath.exp(g / 2)) / 10) if kind == "SOFTPLUS" else g)


@every_kind
def test_psi_is_the_closed_form(kind: str) -> None:
    g = torch.linspace(-30, 30, 241, dtype=torch.float64)
    psi, _ = global_affine(g, kind)
    assert_close(psi / psi_of(g, kind), torch.ones_like(g), 1e-9 if kind == "SOFTPLUS" else 1e-12)
    assert (psi.diff() > 0).all()


@every_kind
def test_log_psi_is_the_logarithm_of_psi_where_that_is_safe(kind: str) -> None:
    g = torch.linspace(-60, 60, 481, dtype=torch.float64)
    psi, log_psi = global_affine(g, kind)
    assert_close(log_psi, psi.log(), 1e-13)


@every_kind
@repeatable
@given(g=st.floats(-1000, 1000))
def test_log_psi_is_exact(kind: str, g: float) -> None:
    """Against 60 digits. torch's softplus is the identity above 20, which is 1e-10 off just there."""
    tolerance = 2e-10 if kind == "SOFTPLUS" and g > 40 else 1e-14
    log_psi = global_affine(torch.tensor(g, dtype=torch.float64), kind)[1].item()
    assert log_psi == pytest.approx(log_psi_exactly(g, kind), rel=tolerance, abs=tolerance)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@every_kind
def test_log_psi_is_smooth_where_its_form_changes(kind: str, dtype: torch.dtype) -> None:
    """log softplus changes its form at g = −40."""
    g = torch.linspace(-44, -36, 1001, dtype=dtype, requires_grad=True)
    log_psi = global_affine(g, kind)[1]
    (slope,) = torch.autograd.grad(log_psi.sum(), g)
    expected = torch.tensor([log_psi_exactly(v, kind) for v in g.tolist()], dtype=dtype)
    eps = torch.finfo(dtype).eps
    assert_close(log_psi, expected, 4 * eps)
    assert_close(slope, torch.full_like(slope, TAIL_SLOPE[kind]), 1e-8 if dtype == torch.float64 else 1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("g", [-250.0, -1e4, -1e30])
@every_kind
def test_log_psi_and_its_gradient_are_finite_where_psi_is_zero(kind: str, g: float, dtype: torch.dtype) -> None:
    """The reference takes the logarithm of a Ψ that has rounded to 0, and gets −inf."""
    g = torch.tensor([g], dtype=dtype, requires_grad=True)
    psi, log_psi = global_affine(g, kind)
    if dtype == torch.float32:
        assert psi.item() == 0
    assert log_psi.item() == pytest.approx(log_psi_exactly(g.item(), kind), rel=1e-6)
    (slope,) = torch.autograd.grad(log_psi, g)
    assert slope.item() == pytest.approx(TAIL_SLOPE[kind], abs=1e-6)


@pytest.mark.parametrize("g", [250.0, 1e4])
@pytest.mark.parametrize("kind", ["SIGMOID", "SOFTPLUS"])
def test_log_psi_and_its_gradient_are_finite_far_to_the_right(kind: str, g: float) -> None:
    g = torch.tensor([g], requires_grad=True)
    log_psi = global_affine(g, kind)[1]
    assert log_psi.item() == pytest.approx(log_psi_exactly(g.item(), kind), rel=1e-6)
    assert torch.autograd.grad(log_psi, g)[0].isfinite()


@every_kind
def test_gradients_match_finite_differences(kind: str) -> None:
    g = torch.tensor([-300.0, -41.0, -39.0, -3.0, 0.0, 2.0, 9.986, 30.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda g: global_affine(g, kind)[1], g)
    assert torch.autograd.gradcheck(lambda g: global_affine(g[1:], kind)[0], g)


@pytest.mark.parametrize(("kind", "slope"), [("SOFTPLUS", 0.099), ("SIGMOID", 0.900), ("EXP", 1.000)])
def test_slope_of_log_psi_where_psi_is_1(kind: str, slope: float) -> None:
    """Under Adam, SOFTPLUS learns its scale about ten times slower."""
    g = torch.tensor(global_affine_inverse(1.0, kind), dtype=torch.float64, requires_grad=True)
    psi, log_psi = global_affine(g, kind)
    assert psi.item() == pytest.approx(1.0, abs=1e-14)
    (actual,) = torch.autograd.grad(log_psi, g)
    assert round(actual.item(), 3) == slope


# ---------------------------------------------------------------------- the inverse


@pytest.mark.parametrize(
    ("kind", "value", "g"),
    [
        ("SIGMOID", 5.0, 2.0),
        ("SIGMOID", 1.0, 2 - math.log(9)),
        ("SOFTPLUS", 0.2 * math.log(2), 0.0),
        ("SOFTPLUS", 1.0, 2 * math.log(math.exp(5) - 1)),
        ("EXP", 1.0, 0.0),
        ("EXP", math.e, 1.0),
    ],
)
def test_inverse_at_known_points(kind: str, value: float, g: float) -> None:
    assert global_affine_inverse(value, kind) == pytest.approx(g, abs=1e-14)


@pytest.mark.parametrize("kind", ["SOFTPLUS", "EXP"])
@repeatable
@given(exponent=st.floats(-100, 30))
def test_inverse_inverts_psi_over_130_orders_of_magnitude(kind: str, exponent: float) -> None:
    value = 10.0**exponent
    g = torch.tensor(global_affine_inverse(value, kind), dtype=torch.float64)
    assert global_affine(g, kind)[0].item() == pytest.approx(value, rel=2e-10 if kind == "SOFTPLUS" else 1e-12)
    assert global_affine(g, kind)[1].item() == pytest.approx(math.log(value), abs=2e-10)


@repeatable
@given(value=st.floats(0, 10, exclude_min=True, exclude_max=True))
def test_inverse_inverts_the_sigmoid_over_all_its_values(value: float) -> None:
    g = global_affine_inverse(value, "SIGMOID")
    assert math.isfinite(g)
    log_psi = global_affine(torch.tensor(g, dtype=torch.float64), "SIGMOID")[1].item()
    assert log_psi == pytest.approx(math.log(value), rel=1e-12, abs=1e-12)


@repeatable
@given(g=st.floats(-300, 300))
@every_kind
def test_psi_inverts_the_inverse(kind: str, g: float) -> None:
    """Where Ψ still tells neighbours apart."""
    if kind == "SIGMOID" and g > 10:  # Ψ is within 0.004 of 10, and its slope is gone
        g = g / 30
    value = math.exp(log_psi_exactly(g, kind))
    assert global_affine_inverse(value, kind) == pytest.approx(g, rel=1e-10, abs=1e-10)


@pytest.mark.parametrize("value", [0, 0.0, -1.0, math.nan, math.inf, -math.inf, None, "1"], ids=repr)
@every_kind
def test_a_value_that_psi_never_takes_raises(kind: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^Expected global_affine_init .* for {kind}, got .*1.0 starts without"):
        global_affine_inverse(value, kind)


@pytest.mark.parametrize("value", [10, 10.0, 11.0, 1e30])
def test_the_sigmoid_stops_below_10(value: float) -> None:
    """The reference makes inf of 10 and NaN of 11."""
    with pytest.raises(ValueError, match=r"^Expected global_affine_init between 0 and 10, both excluded, .* got 1"):
        global_affine_inverse(value, "SIGMOID")
    for kind in ("SOFTPLUS", "EXP"):
        assert math.isfinite(global_affine_inverse(value, kind))


@pytest.mark.parametrize("kind", ["exp", "TANH", "", None], ids=repr)
def test_another_kind_raises(kind: str) -> None:
    with pytest.raises(ValueError, match=r"^Expected global_affine_type 'SIGMOID', 'SOFTPLUS' or 'EXP', got "):
        global_affine_inverse(1.0, kind)
