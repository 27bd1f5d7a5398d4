"""The lines that are taken away build the same block: they are run, and their numbers compared."""

from __future__ import annotations

import ast
import copy
import inspect
import itertools
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from aio.block import CLAMP_DIALECTS, AllInOneBlock
from aio.by_hand import CURVE_KINDS, BlockEdit, HandCurve, edited
from aio.config import BlockConfig, FlowConfig, SubnetConfig
from aio.export import BLOCK_FILE, DEFAULTS, LIBRARIES, block_line, block_weights
from aio.flow import build
from aio.subnets import ACTIVATIONS, mlp
from tests.reference import VARIANTS, FreiaBlock, Variant, assert_close, draw, own_block

SUBNET = SubnetConfig(width=8, depth=1, activation="tanh")
STEP = HandCurve(kind="step", level=0.5, amplitude=-1.5, rate=3.0, centre=-0.25)
SINE = HandCurve(kind="sine", level=-0.1, amplitude=0.7, rate=2.5, centre=0.4)
EDITS = {
    "s": BlockEdit(s=STEP),
    "t": BlockEdit(t=SINE),
    "s-and-t": BlockEdit(s=STEP, t=SINE),
    "all": BlockEdit(s=SINE, t=STEP, g=(3.0, 12.0), o=(0.5, -2.0), angle=30.0, v=((1.0, 0.5), (0.2, -3.0)), clamp=0.7),
    "angle": BlockEdit(angle=77.0, reverse_permutation=True),
}
both_dialects = pytest.mark.parametrize("dialect", CLAMP_DIALECTS)


class FreiaMain(FreiaBlock):
    """FrEIA's main branch where it is unlike 0.2: the clamp, the form of a hard permutation, and what fails."""

    def __init__(self, dims_in: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(dims_in, *args, **kwargs)
        soft = inspect.signature(FreiaBlock).bind(dims_in, *args, **kwargs).arguments.get("permute_soft", False)
        if soft:
            return
        if self.householder:
            raise UnboundLocalError("w")
        for name in ("w_perm", "w_perm_inv"):
            index = getattr(self, name).argmax(1)
            setattr(self, name, nn.Parameter(index, requires_grad=False))
        self.permute_function = lambda x, index: x[:, index]

    def _affine(self, x: Tensor, a: Tensor, rev: bool = False) -> tuple[Tensor, Tensor]:
        s, t = a.chunk(2, dim=1)
        return super()._affine(x, torch.cat([s / self.clamp, t], dim=1), rev)


def block_of(variant: Variant, **more: Any) -> AllInOneBlock:
    more.setdefault("subnet_constructor", mlp(SUBNET.width, SUBNET.depth, SUBNET.activation))
    return own_block(variant, (2,), dtype=torch.float32, **more)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the lines of a block in a folder of their own, and return the block that they leave."""
    monkeypatch.chdir(tmp_path)

    def run(block: AllInOneBlock, library: str, subnet: SubnetConfig = SUBNET) -> nn.Module:
        Path(BLOCK_FILE).write_bytes(block_weights(block))
        names: dict[str, Any] = {"__name__": "pasted"}
        exec(block_line(block, subnet, library), names)
        return names["block"]

    return run


@pytest.fixture
def freia_main(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("FrEIA.modules.AllInOneBlock", FreiaMain)


@pytest.fixture
def anomalib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins where anomalib has its block, which computes as FrEIA 0.2's does."""
    path = "anomalib.models.components.flow"
    parts = path.split(".")
    for depth in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, ".".join(parts[:depth]), types.ModuleType(".".join(parts[:depth])))
    sys.modules[path].AllInOneBlock = FreiaBlock


@torch.no_grad()
def assert_same(
    theirs: nn.Module, block: AllInOneBlock, conditions: int = 0, shape: tuple[int, ...] = (2,), *, exact: bool = True
) -> None:
    """Both directions, value and log-determinant, in float32 and, where the weights are `exact`, in float64.

    Two orders of the same float32 sums can part by a few roundings, and by more where s is large, so float32 alone
    would prove little: in float64, with the weights of the file, nothing is left of the difference.
    """
    again = copy.deepcopy(block)
    again.load_state_dict(block.state_dict())  # the matrix as the file has it, not as it was drawn in float64
    for dtype, n, tolerance in ((torch.float32, 10, 1e-6), (torch.float64, 50, 1e-12))[: 1 + exact]:
        theirs, again = theirs.to(dtype), again.to(dtype)
        x, c = draw(shape, conditions, n=n, dtype=dtype)
        for rev in (False, True):
            (expected,), expected_log_det = again([x], c, rev=rev)
            (y,), log_det = theirs([x], c, rev=rev)
            assert_close(y, expected, tolerance, f"y, {dtype}, rev={rev}")
            assert_close(log_det, expected_log_det, tolerance, f"log_det, {dtype}, rev={rev}")


# ---------------------------------------------------------------------- the same block


@both_dialects
@pytest.mark.parametrize("alpha", [2.0, 0.7], ids="clamp{}".format)
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_lines_for_aio_build_the_block(run: Any, variant: Variant, alpha: float, dialect: str) -> None:
    block = block_of(variant, affine_clamping=alpha, clamp_dialect=dialect)
    again = run(block, "aio")
    assert repr(again) == repr(block)
    assert_same(again, block)


@pytest.mark.parametrize("alpha", [2.0, 0.7], ids="clamp{}".format)
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_lines_for_freia_build_the_block(run: Any, variant: Variant, alpha: float) -> None:
    block = block_of(variant, affine_clamping=alpha)
    theirs = run(block, "FrEIA")
    assert type(theirs) is FreiaBlock
    assert_same(theirs, block)


@pytest.mark.usefixtures("freia_main")
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_lines_for_freia_main_build_the_block(run: Any, variant: Variant) -> None:
    block = block_of(variant, affine_clamping=0.7, clamp_dialect="freia-main")
    theirs = run(block, "FrEIA")
    assert type(theirs) is FreiaMain
    assert_same(theirs, block)


@both_dialects
@pytest.mark.usefixtures("anomalib")
@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_lines_for_anomalib_build_the_block(run: Any, variant: Variant, dialect: str) -> None:
    block = block_of(variant, affine_clamping=0.7, clamp_dialect=dialect)
    assert_same(run(block, "anomalib"), block)


@pytest.mark.usefixtures("anomalib")
@pytest.mark.parametrize("depth", [0, 1, 3], ids="depth{}".format)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("library", LIBRARIES)
def test_every_network_is_built(run: Any, library: str, activation: str, depth: int) -> None:
    subnet = SubnetConfig(width=5, depth=depth, activation=activation)
    constructor = mlp(subnet.width, subnet.depth, subnet.activation)
    block = block_of(Variant("EXP", soft=True), subnet_constructor=constructor)
    assert_same(run(block, library, subnet), block)


@both_dialects
@pytest.mark.usefixtures("anomalib")
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_block_set_by_hand_is_built(
    run: Any, request: pytest.FixtureRequest, library: str, edit: BlockEdit, dialect: str
) -> None:
    if dialect == "freia-main" and library == "FrEIA":
        request.getfixturevalue("freia_main")
    block = edited(block_of(Variant(soft=True), clamp_dialect=dialect), edit)
    assert_same(run(block, library), block)


@pytest.mark.usefixtures("anomalib")
@pytest.mark.parametrize(
    ("kind", "centre", "level"), list(itertools.product(CURVE_KINDS, (-0.5, 0.0, 0.5), (-1.0, 0.0))), ids=str
)
@pytest.mark.parametrize("library", LIBRARIES)
def test_every_curve_is_written_down(run: Any, library: str, kind: str, centre: float, level: float) -> None:
    curve = HandCurve(kind=kind, centre=centre, level=level, amplitude=-0.75, rate=1.5)
    block = edited(block_of(Variant()), BlockEdit(t=curve))
    assert_same(run(block, library), block)


def test_of_two_edits_the_last_hand_holds(run: Any) -> None:
    block = edited(edited(block_of(Variant()), BlockEdit(s=SINE, t=SINE)), BlockEdit(s=STEP))
    assert_same(run(block, "FrEIA"), block)


@pytest.mark.parametrize("v", [((0.0, 0.0), (1.0, 2.0)), ((1e-30, 2e-30),), ((0.0, 0.0),)], ids=["one", "tiny", "all"])
@pytest.mark.parametrize("library", ["aio", "FrEIA"])
def test_a_reflection_vector_without_a_mirror_is_left_out(run: Any, library: str, v: Any) -> None:
    """FrEIA would divide by its square, which is 0."""
    block = edited(block_of(Variant()), BlockEdit(v=v))
    again = run(block, library)
    assert again.householder == sum(any(pair) for pair in v)
    assert_same(again, block, exact=v[0][0] != 1e-30)  # a vector that is too short is brought near 1, and rounded


@pytest.mark.usefixtures("freia_main")
def test_a_hard_block_that_holds_another_matrix_is_built_soft_for_freia_main(run: Any) -> None:
    block = block_of(Variant(), clamp_dialect="freia-main")
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]])
    block.load_state_dict(block.state_dict() | {"w_perm": turn, "w_perm_inv": turn.T})
    assert_same(run(block, "FrEIA"), block)


@pytest.mark.usefixtures("anomalib")
@pytest.mark.parametrize("conditions", [0, 2], ids="{}c".format)
@pytest.mark.parametrize("library", LIBRARIES)
def test_wider_vectors_and_conditions_are_built(run: Any, library: str, conditions: int) -> None:
    constructor = mlp(SUBNET.width, SUBNET.depth, SUBNET.activation)
    variant = Variant("SIGMOID", householder=2, reverse=True)
    block = own_block(variant, (5,), conditions, dtype=torch.float32, subnet_constructor=constructor)
    assert_same(run(block, library), block, conditions, (5,))


@pytest.mark.usefixtures("freia_main")
def test_a_hard_permutation_is_an_index_in_freia_main(run: Any) -> None:
    constructor = mlp(SUBNET.width, SUBNET.depth, SUBNET.activation)
    more = {"subnet_constructor": constructor, "clamp_dialect": "freia-main"}
    block = own_block(Variant(reverse=True), (5,), dtype=torch.float32, seed=1, **more)
    assert not torch.equal(block.w_perm, block.w_perm.T)  # rows and columns are not the same
    assert_same(run(block, "FrEIA"), block, shape=(5,))


def test_a_block_in_float64_is_taken_away_in_float32(run: Any) -> None:
    block = build(FlowConfig(blocks=1, subnet=SUBNET), seed=3).blocks[0].double()
    assert_same(run(block, "FrEIA"), block.float())
    assert block_weights(block.double()) == block_weights(block.float())


# ---------------------------------------------------------------------- how the lines are written


def call_in(line: str) -> ast.Call:
    """The constructor call in the lines."""
    names = {"block"}
    return next(
        node.value
        for node in ast.parse(line).body
        if isinstance(node, ast.Assign) and {ast.unparse(t) for t in node.targets} == names
    )


def everything_set() -> AllInOneBlock:
    variant = Variant("EXP", gin=True, soft=True, householder=2, reverse=True)
    return block_of(variant, affine_clamping=1.3, clamp_dialect="freia-main")


DOCUMENTED = list(inspect.signature(FreiaBlock).parameters)  # anomalib's are the same, in the same order


@pytest.mark.parametrize("library", LIBRARIES)
def test_arguments_are_documented_ones_in_the_constructors_order(library: str) -> None:
    documented = [*DOCUMENTED, "clamp_dialect"] if library == "aio" else DOCUMENTED
    call = call_in(block_line(everything_set(), SUBNET, library))
    given = [keyword.arg for keyword in call.keywords]
    left_out = {"dims_c", "global_affine_init"}
    assert not call.args
    assert given == [name for name in documented if name not in left_out]


@pytest.mark.parametrize("library", LIBRARIES)
def test_only_what_differs_from_the_defaults_is_written(library: str) -> None:
    call = call_in(block_line(block_of(Variant()), SUBNET, library))
    assert [keyword.arg for keyword in call.keywords] == ["dims_in", "subnet_constructor"]
    call = call_in(block_line(block_of(Variant(reverse=True), affine_clamping=1 / 3), SUBNET, library))
    written = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords[2:]}
    assert written == {"affine_clamping": repr(1 / 3), "reverse_permutation": "True"}


def test_the_libraries_have_the_same_defaults() -> None:
    theirs = {name: p.default for name, p in inspect.signature(FreiaBlock).parameters.items()}
    assert {name: DEFAULTS[name] for name in theirs} == theirs


@pytest.mark.parametrize(
    ("library", "module"),
    [("aio", "aio"), ("FrEIA", "FrEIA.modules"), ("anomalib", "anomalib.models.components.flow")],
    ids=LIBRARIES,
)
def test_the_block_comes_from_its_library(library: str, module: str) -> None:
    tree = ast.parse(block_line(everything_set(), SUBNET, library))
    found = {alias.name for node in tree.body if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert module in found
    assert found <= {module, "safetensors.torch", "torch"}


def test_the_clamp_of_freia_main_is_spoken_of_in_words() -> None:
    main = block_of(Variant(soft=True), clamp_dialect="freia-main")
    assert "Needs FrEIA's main branch" in block_line(main, SUBNET, "FrEIA")
    assert "git+https://github.com/vislearn/FrEIA@" in block_line(main, SUBNET, "FrEIA")
    assert "FrEIA 0.2's clamp only" in block_line(main, SUBNET, "anomalib")
    assert "clamp_dialect='freia-main'" in block_line(main, SUBNET, "aio")
    plain = block_of(Variant(soft=True))
    assert "FrEIA==0.2" in block_line(plain, SUBNET, "FrEIA")
    assert "#" not in block_line(plain, SUBNET, "anomalib") + block_line(plain, SUBNET, "aio")


@both_dialects
def test_that_freia_main_fails_on_mirrors_over_a_hard_permutation_is_said(dialect: str) -> None:
    for soft, householder in itertools.product((False, True), (0, 1)):
        block = block_of(Variant(soft=soft, householder=householder), clamp_dialect=dialect)
        said = "Householder" in block_line(block, SUBNET, "FrEIA").replace("learned_householder", "")
        assert said == (householder > 0 and not soft)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("edit", [BlockEdit(), EDITS["all"]], ids=["network", "by-hand"])
def test_lines_end_cleanly_and_fit_the_page(library: str, edit: BlockEdit) -> None:
    line = block_line(edited(everything_set(), edit), SUBNET, library)
    assert line.endswith(")\n")
    assert all(row == row.rstrip() and len(row) <= 120 for row in line.splitlines())


# ---------------------------------------------------------------------- the file


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_the_file_has_freias_names_and_shapes(variant: Variant) -> None:
    weights = safetensors.torch.load(block_weights(block_of(variant)))
    constructor = mlp(SUBNET.width, SUBNET.depth, SUBNET.activation)
    theirs = FreiaBlock([(2,)], subnet_constructor=constructor, **variant.arguments).state_dict()
    assert {name: w.shape for name, w in weights.items()} == {name: w.shape for name, w in theirs.items()}
    assert {w.dtype for w in weights.values()} == {torch.float32}


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / BLOCK_FILE
    path.write_bytes(block_weights(edited(everything_set(), BlockEdit(t=SINE, v=((1.0, 1.0),)))))
    with safetensors.safe_open(path, framework="pt") as file:
        said = json.loads(file.metadata()["block"])
    assert (said["format"], said["version"]) == ("aio-block", 1)
    assert said["settings"] == {
        "dims_in": [[2]], "dims_c": [], "affine_clamping": 1.3, "gin_block": True, "global_affine_type": "EXP",
        "permute_soft": True, "learned_householder_permutation": 1, "reverse_permutation": True,
        "clamp_dialect": "freia-main", "t": SINE.model_dump(),
    }  # fmt: skip


def test_a_network_of_which_nothing_is_left_is_not_in_the_file() -> None:
    names = safetensors.torch.load(block_weights(edited(block_of(Variant()), EDITS["s-and-t"]))).keys()
    assert not [name for name in names if name.startswith("subnet")]
    names = safetensors.torch.load(block_weights(edited(block_of(Variant()), EDITS["s"]))).keys()
    assert "subnet.trained.0.weight" in names


def test_taking_away_changes_nothing() -> None:
    block = block_of(Variant(soft=True))
    before = {name: w.clone() for name, w in block.state_dict().items()}
    state = torch.random.get_rng_state()
    block_weights(block)
    block_line(block, SUBNET, "aio")
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(w, before[name]) for name, w in block.state_dict().items())


# ---------------------------------------------------------------------- what cannot be taken away


def test_another_library_is_refused() -> None:
    with pytest.raises(ValueError, match=r"Expected library 'aio', 'FrEIA' or 'anomalib', got 'zuko'\. Choose"):
        block_line(block_of(Variant()), SUBNET, "zuko")


def test_settings_of_another_network_are_refused() -> None:
    for other in (SUBNET.changed(width=9), SUBNET.changed(depth=2), SUBNET.changed(activation="relu")):
        with pytest.raises(ValueError, match=r"Expected the network that .* got Sequential.* Give the subnet settings"):
            block_line(block_of(Variant()), other, "aio")


@pytest.mark.parametrize("shape", [(1,), (2, 3, 3)], ids=str)
def test_blocks_for_other_data_are_refused(shape: tuple[int, ...]) -> None:
    block = own_block(Variant(), shape)
    for take in (block_weights, lambda block: block_line(block, SUBNET, "FrEIA")):
        with pytest.raises(ValueError, match=r"Expected a block for vectors of at least two channels, got dims_in="):
            take(block)


def test_a_block_of_the_default_flow_is_taken_away(run: Any) -> None:
    config = FlowConfig(blocks=2, block=BlockConfig(permutation="hard"))
    for block in build(config, seed=0).blocks:
        assert_same(run(block, "FrEIA", config.subnet), block)
