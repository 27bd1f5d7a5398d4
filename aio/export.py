"""A block to take away: the Python that builds it in three libraries, and its weights as one file that all load."""

from __future__ import annotations

import inspect
import json
from typing import Any, Literal, NamedTuple, get_args

import safetensors.torch
import torch
from torch import Tensor, nn

from aio.block import SUBNET_SCALE, AllInOneBlock
from aio.by_hand import HandCurve, HandSubnet
from aio.config import SubnetConfig, shown
from aio.subnets import ACTIVATIONS, mlp

__all__ = ["BLOCK_FILE", "LIBRARIES", "Library", "block_line", "block_weights"]

Library = Literal["aio", "FrEIA", "anomalib"]
LIBRARIES: tuple[Library, ...] = get_args(Library)
BLOCK_FILE = "block.safetensors"
FORMAT, VERSION = "aio-block", 1  # by which a reader knows the file
METADATA_KEY = "block"  # one key: safetensors writes several in an order of its own, each time another

IMPORTS: dict[Library, str] = {
    "aio": "import aio",
    "FrEIA": "from FrEIA.modules import AllInOneBlock",
    "anomalib": "from anomalib.models.components.flow import AllInOneBlock",
}
# The main branch moves; this is the commit whose block this project's clamp dialect freia-main follows.
FREIA_MAIN = "git+https://github.com/vislearn/FrEIA@421249652c478b3f240f124f69eb5777b6a76bf2"
DEFAULTS = {name: p.default for name, p in inspect.signature(AllInOneBlock).parameters.items()}
# The libraries square a reflection vector in float32: between these its square neither vanishes nor overflows.
SHORTEST, LONGEST = 1e-15, 1e15


def block_line(block: AllInOneBlock, subnet: SubnetConfig, library: Library) -> str:
    """The lines of Python that build a block like this one and load its weights, ready to paste.

    They write out only what differs from the library's defaults. The value that Ψ started from is not among it: the
    weights carry what became of it. Where a library cannot say something by an option, the lines say it otherwise:

    - A clamp of FrEIA's main branch needs that branch in FrEIA, which a comment says. anomalib has FrEIA 0.2's alone;
      there the network's output for s is divided by α, which gives the same s.
    - Curves set by hand become a module with their formulas.

    Args:
        block: for vectors of at least two channels.
        subnet: what the block's network was built from.
        library: aio, FrEIA or anomalib.

    Returns:
        A program that reads the file `BLOCK_FILE`, which holds what `block_weights` returns, from the working
        directory, and leaves the block in the name `block`.

    Raises:
        ValueError: for another library, another kind of block, or a network that `subnet` does not describe.

    Example:
        >>> from aio.config import FlowConfig
        >>> from aio.flow import build
        >>> block = build(FlowConfig(blocks=1), seed=0).blocks[0]
        >>> print(block_line(block, SubnetConfig(), "aio"))
        import safetensors.torch
        <BLANKLINE>
        import aio
        <BLANKLINE>
        block = aio.AllInOneBlock(
            dims_in=[(2,)],
            subnet_constructor=aio.subnets.mlp(64, 2),
            permute_soft=True,
        )
        block.load_state_dict(safetensors.torch.load_file("block.safetensors"))
        <BLANKLINE>
    """
    if library not in LIBRARIES:
        raise ValueError(f"Expected library {_listed(LIBRARIES)}, got {shown(library)!r}. Choose one of them.")
    _check_kind(block)
    taken = _taken_apart(block)
    _check_network(block, taken.network, subnet)
    name, before = _subnet(taken, subnet, library, block)
    parts = [_imports(library, before), *([before] if before else [])]
    parts.append("\n".join([*_remarks(block, taken, library), *_call(block, taken, name, library)]))
    return "\n\n".join(parts) + "\n"


def block_weights(block: AllInOneBlock) -> bytes:
    """The block's weights as a safetensors file in float32, under the names and in the shapes of FrEIA 0.2.

    FrEIA 0.2, anomalib and aio load it strictly into the block that `block_line` builds. So it leaves out what that
    block has no place for: reflection vectors of zero, which have no mirror, and a network that no output is left of
    because both curves are set by hand.

    Args:
        block: for vectors of at least two channels.

    Returns:
        The file; the same block gives the same bytes. Its metadata have one entry, `block`, a JSON object of
        `format`, `version`, and `settings`: the constructor's arguments, and the curves set by hand.

    Raises:
        ValueError: for another kind of block.

    Example:
        >>> from aio.config import FlowConfig
        >>> from aio.flow import build
        >>> weights = safetensors.torch.load(block_weights(build(FlowConfig(blocks=1), seed=0).blocks[0]))
        >>> sorted(weights)[:4], weights["w_perm"].shape
        (['global_offset', 'global_scale', 'subnet.0.bias', 'subnet.0.weight'], torch.Size([2, 2]))
    """
    _check_kind(block)
    taken = _taken_apart(block)
    w, v = taken.w, taken.v
    tensors: dict[str, Tensor] = {"global_scale": block.global_scale, "global_offset": block.global_offset}
    tensors |= {"w_0": w, "vk_householder": v} if len(v) else {"w_perm": w, "w_perm_inv": w.T}
    if not (taken.s and taken.t):
        prefix = "subnet.trained." if taken.by_hand else "subnet."
        tensors |= {prefix + name: tensor for name, tensor in taken.network.state_dict().items()}
    settings = {"dims_in": block.dims_in, "dims_c": block.dims_c, **_options(block, len(v))}
    settings |= {name: curve.model_dump() for name, curve in (("s", taken.s), ("t", taken.t)) if curve}
    return safetensors.torch.save(
        {name: _plain(tensor) for name, tensor in tensors.items()},
        metadata={METADATA_KEY: json.dumps({"format": FORMAT, "version": VERSION, "settings": settings})},
    )


# ---------------------------------------------------------------------- what the block is


class _Taken(NamedTuple):
    """A block's network, what is set by hand in front of it, its fixed matrix, and the vectors that have a mirror."""

    network: nn.Module
    s: HandCurve | None
    t: HandCurve | None
    w: Tensor
    """(channels, channels)."""
    v: Tensor
    """(k, channels)."""

    @property
    def by_hand(self) -> bool:
        return self.s is not None or self.t is not None


def _taken_apart(block: AllInOneBlock) -> _Taken:
    network, s, t = block.subnet, None, None
    while isinstance(network, HandSubnet):  # a block edited twice: the last hand holds
        network, s, t = network.trained, s or network.s, t or network.t
    vectors = block.vk_householder.detach() if block.householder else torch.empty(0, block.channels)
    kept = []
    for v in vectors:
        largest = v.abs().max()
        if largest > 0:
            kept.append(v if SHORTEST < largest < LONGEST else v / largest)  # the mirror stays the same
    w = (block.w_0 if block.householder else block.w_perm).detach()
    return _Taken(network, s, t, w, torch.stack(kept) if kept else vectors[:0])


def _options(block: AllInOneBlock, mirrors: int) -> dict[str, Any]:
    """The constructor's arguments after the subnet, in its order."""
    return {
        "affine_clamping": block.affine_clamping,
        "gin_block": block.gin_block,
        "global_affine_type": block.global_affine_type,
        "permute_soft": block.permute_soft,
        "learned_householder_permutation": mirrors,
        "reverse_permutation": block.reverse_permutation,
        "clamp_dialect": block.clamp_dialect,
    }


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float32).clone(memory_format=torch.contiguous_format)


def _check_kind(block: AllInOneBlock) -> None:
    if len(block.dims_in[0]) != 1 or block.channels < 2:
        raise ValueError(
            f"Expected a block for vectors of at least two channels, got dims_in={block.dims_in}. "
            "Take a block of a flow that `aio.build` builds."
        )


def _check_network(block: AllInOneBlock, network: nn.Module, subnet: SubnetConfig) -> None:
    passive, active = block.split
    channels_in = passive + sum(dims[0] for dims in block.dims_c)
    described = mlp(subnet.width, subnet.depth, subnet.activation, generator=torch.Generator())(channels_in, 2 * active)
    if repr(described) != repr(network):  # a module's repr names its layers and their sizes
        raise ValueError(
            f"Expected the network that {subnet!r} describes, got {' '.join(repr(network).split())}. "
            "Give the subnet settings that the block was built from."
        )


# ---------------------------------------------------------------------- the lines


def _imports(library: Library, before: str) -> str:
    third = ["import safetensors.torch"]
    third += ["import torch"] if "torch." in before else []
    third += [IMPORTS[library]] if library != "aio" else []
    third += ["from torch import nn"] if "nn." in before else []
    return "\n".join(third) + ("\n\nimport aio" if library == "aio" else "")


def _subnet(taken: _Taken, subnet: SubnetConfig, library: Library, block: AllInOneBlock) -> tuple[str, str]:
    """What the constructor is given as its subnet, and the lines that must stand before it."""
    # α tanh(0.1 a / α) is FrEIA 0.2's clamp of a / α.
    divisor = block.affine_clamping if library == "anomalib" and block.clamp_dialect == "freia-main" else None
    if taken.by_hand:
        return "HandSubnet", _hand_module(taken, subnet, library, divisor)
    if library == "aio":
        return _aio_subnet(subnet), ""
    if divisor is None:
        return "subnet", f"\ndef subnet(channels_in, channels_out):\n    return {_layers(subnet, 'nn.Sequential', 4)}\n"
    module = f'''
class Softened(nn.Sequential):
    """A network whose output for s is divided by the clamp, for the clamp of FrEIA's main branch."""

    def forward(self, x):
        s, t = super().forward(x).chunk(2, dim=1)
        return torch.cat([s / {divisor!r}, t], dim=1)


def subnet(channels_in, channels_out):
    return {_layers(subnet, "Softened", 4)}
'''
    return "subnet", module


def _hand_module(taken: _Taken, subnet: SubnetConfig, library: Library, divisor: float | None) -> str:
    lines = ["class HandSubnet(nn.Module):"]
    lines += ['    """s and t over the passive coordinate x, set by hand; the block multiplies them by 0.1."""', ""]
    network = f"{_aio_subnet(subnet)}(channels_in, channels_out)"
    lines += ["    def __init__(self, channels_in, channels_out):", "        super().__init__()"]
    if taken.s and taken.t:
        lines += ["", "    def forward(self, x):"]
    else:
        network = network if library == "aio" else _layers(subnet, "nn.Sequential", 8)
        lines += [f"        self.trained = {network}", "", "    def forward(self, x):"]
        lines += ["        s, t = self.trained(x).chunk(2, dim=1)"]
    lines += [
        f"        {name} = ({_curve(curve)}) / {SUBNET_SCALE!r}"
        for name, curve in (("s", taken.s), ("t", taken.t))
        if curve
    ]
    if divisor is not None:
        lines += [f"        s = s / {divisor!r}  # for the clamp of FrEIA's main branch"]
    lines += ["        return torch.cat([s, t], dim=1)"]
    return "\n" + "\n".join(lines) + "\n"


def _curve(curve: HandCurve) -> str:
    along = f"x - {curve.centre!r}" if curve.centre > 0 else f"x + {-curve.centre!r}" if curve.centre else "x"
    level, amplitude, rate = repr(curve.level), repr(curve.amplitude), repr(curve.rate)
    match curve.kind:
        case "constant":
            return f"torch.full_like(x, {level})"
        case "linear":
            return f"{level} + {amplitude} * ({along})"
        case "sine":
            return f"{level} + {amplitude} * torch.sin({rate} * ({along}))"
    return f"{level} + {amplitude} * torch.tanh({rate} * ({along}))"


def _aio_subnet(subnet: SubnetConfig) -> str:
    activation = "" if subnet.activation == "relu" else f", {subnet.activation!r}"
    return f"aio.subnets.mlp({subnet.width}, {subnet.depth}{activation})"


def _layers(subnet: SubnetConfig, container: str, indent: int) -> str:
    sizes = ["channels_in", *[str(subnet.width)] * subnet.depth, "channels_out"]
    layers: list[str] = []
    for i in range(len(sizes) - 1):
        layers += [f"nn.{ACTIVATIONS[subnet.activation].__name__}()"] if i else []
        layers += [f"nn.Linear({sizes[i]}, {sizes[i + 1]})"]
    inner = "".join(f"{' ' * (indent + 4)}{layer},\n" for layer in layers)
    return f"{container}(\n{inner}{' ' * indent})"


def _remarks(block: AllInOneBlock, taken: _Taken, library: Library) -> list[str]:
    main = block.clamp_dialect == "freia-main"
    both = len(taken.v) > 0 and not block.permute_soft
    if library == "aio":
        return []
    if library == "anomalib":
        return ["# anomalib has FrEIA 0.2's clamp only: the network above makes up for it."] if main else []
    if not main:
        remarks = ["# Needs FrEIA 0.2 (pip install FrEIA==0.2): its main branch has another clamp."]
        if both:
            remarks += ["# The main branch also fails to build Householder mirrors on a hard permutation."]
        return remarks
    remarks = ["# Needs FrEIA's main branch: version 0.2 has another clamp, and would not complain."]
    remarks += [f"# pip install {FREIA_MAIN}"]
    if both:
        remarks += [
            "# The block's fixed matrix is a hard permutation. The main branch fails to build Householder mirrors on",
            "# one; with permute_soft it builds them, and the matrix is loaded from the file.",
        ]
    return remarks


def _call(block: AllInOneBlock, taken: _Taken, subnet: str, library: Library) -> list[str]:
    main = library == "FrEIA" and block.clamp_dialect == "freia-main"
    # What FrEIA's main branch stores as an index must be a permutation; it may have been set to another matrix.
    as_index = main and not block.permute_soft and not len(taken.v) and _is_permutation(taken.w)
    options = _options(block, len(taken.v))
    if library != "aio":
        del options["clamp_dialect"]
    if main and not as_index:
        options["permute_soft"] = True
    arguments = {"dims_in": repr(block.dims_in)}
    arguments |= {"dims_c": repr(block.dims_c)} if block.dims_c else {}
    arguments |= {"subnet_constructor": subnet}
    arguments |= {name: repr(value) for name, value in options.items() if value != DEFAULTS[name]}
    lines = ["block = aio.AllInOneBlock(" if library == "aio" else "block = AllInOneBlock("]
    lines += [f"    {name}={value}," for name, value in arguments.items()]
    lines += [")"]
    load = f'safetensors.torch.load_file("{BLOCK_FILE}")'
    if not as_index:
        return [*lines, f"block.load_state_dict({load})"]
    return [
        *lines,
        f"weights = {load}",
        "# The main branch stores a hard permutation as an index, not as a matrix.",
        'weights |= {name: weights[name].argmax(1) for name in ("w_perm", "w_perm_inv")}',
        "block.load_state_dict(weights)",
    ]


def _is_permutation(w: Tensor) -> bool:
    ones = w == 1
    return bool(((w == 0) | ones).all() and (ones.sum(0) == 1).all() and (ones.sum(1) == 1).all())


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(map(repr, names[:-1])) + f" or {names[-1]!r}"
