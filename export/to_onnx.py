"""The scoring graph as one ONNX file: names, free sizes, no external data."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
import torch
from onnx import helper, numpy_helper
from onnx.shape_inference import infer_shapes
from torch import Tensor, nn

from training.carried import Carried
from training.scoring import Scores, ScoringGraph
from training.seldom import NAME as SELDOM

OPSET = 18
INPUT = "counts"
HALO = "halo"
"""An input: rows at the top and the bottom that have no outputs; none unless it is given."""
EXPLAIN, EXPECTED = "explain", "expected"
"""An input: false where the expected spectra, an output that costs a good deal, are not wanted."""
EARLY = "early"
"""An input: how many of the rows with outputs the next strip will have once more, its neighbours being in then."""
ABOVE, CARRIED = ([f"{way}_{name}" for name in Carried._fields] for way in ("above", "carried"))
"""Inputs and outputs that hand on what is known of rows: of none unless they are given."""
EXAMPLE = (2, 3, 4)
"""Batch, rows and columns of the example: all above 1, so that none is specialised away."""


def to_onnx(graph: ScoringGraph) -> bytes:
    """The serialised ONNX model of `graph`, without a card.

    The tracing exporter is used: the graph has no control flow (branches are put in here), it writes plain operators
    and takes two seconds where the dynamo exporter takes ten.
    """
    example = torch.full((*EXAMPLE, graph.architecture.channels), 100.0)
    none = {HALO: torch.zeros(2, dtype=torch.int64), EARLY: torch.zeros((), dtype=torch.int64)}
    with torch.no_grad():
        above = graph.eval().carried(example)
    sizes, scored = {0: "batch", 1: "row", 2: "column"}, {0: "batch", 1: "scored_row", 2: "column"}
    # of what is carried no size is said to be that of anything else: there is none where nothing is carried
    carried = {name: {n: f"{name}_{size}" for n, size in sizes.items()} for name in (*ABOVE, *CARRIED)}
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")  # of the tracing exporter's own age, and of a size check inside torch
        file = Path(folder, "model.onnx")
        torch.onnx.export(
            _Strip(graph),
            (example, *none.values(), *above),
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=[INPUT, *none, *ABOVE],
            output_names=[*Scores._fields, *CARRIED],
            dynamic_axes={
                INPUT: sizes,
                **dict.fromkeys(Scores._fields, scored),
                "drift": {0: "batch", 1: "scored_row"},
                **carried,
            },
        )
        model = onnx.load_model(file)
    none |= {name: each[:0, :0, :1] for name, each in zip(ABOVE, above, strict=True)}
    model.graph.initializer.extend(numpy_helper.from_array(each.numpy(), name) for name, each in none.items())
    _only_where_needed(model)
    _only_on_demand(model.graph, EXPECTED)
    return model.SerializeToString()


class _Strip(nn.Module):
    """The graph as the model file has it: tensors in, tensors out."""

    def __init__(self, graph: ScoringGraph) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, counts: Tensor, halo: Tensor, early: Tensor, *above: Tensor) -> tuple[Tensor, ...]:
        scores, carried = self.graph.going_on(counts, halo, early, Carried(*above))
        return *scores, *carried


def _only_on_demand(graph: onnx.GraphProto, output: str) -> None:
    """Move the nodes that serve `output` alone into a branch that is taken where the input EXPLAIN is true.

    Otherwise the output is empty. It is true by default; the live monitor asks when a person looks at a pixel.
    """
    rest, own = _parted(graph.node, {each.name for each in graph.output if each.name != output})
    (info,) = (each for each in graph.output if each.name == output)
    kind = info.type.tensor_type.elem_type
    own[-1].output[0] = asked = f"{output}_asked"
    nothing = helper.make_tensor(f"{output}_empty", kind, (0, 0, 0, 0), [])
    constant = helper.make_node("Constant", [], [nothing.name], value=nothing)
    branch = _branch(EXPLAIN, {output: kind}, (own, [asked]), ([constant], [nothing.name]))
    del graph.node[:]
    graph.node.extend([*rest, branch])
    graph.input.append(helper.make_tensor_value_info(EXPLAIN, onnx.TensorProto.BOOL, []))
    graph.initializer.append(helper.make_tensor(EXPLAIN, onnx.TensorProto.BOOL, [], [True]))


def _only_where_needed(model: onnx.ModelProto) -> None:
    """Move the nodes that serve values of `training.seldom` alone into a branch, before the first that takes one."""
    graph = model.graph
    known = {each.name: each.type.tensor_type.elem_type for each in infer_shapes(model).graph.value_info}
    choices = [node for node in graph.node if f"/{SELDOM}/" in node.name and node.op_type == "Where"]
    kinds = {choice.output[0]: known[choice.output[0]] for choice in choices}
    (where,) = {choice.input[0] for choice in choices}
    needed = {each.name for each in graph.output} | {name for choice in choices for name in (where, choice.input[2])}
    rest, own = _parted([node for node in graph.node if kinds.keys().isdisjoint(node.output)], needed)
    values, usual = (
        [helper.make_node("Identity", [choice.input[n]], [f"{choice.output[0]}_{n}"]) for choice in choices]
        for n in (1, 2)
    )
    names = [[node.output[0] for node in nodes] for nodes in (values, usual)]
    branch = _branch(where, kinds, ([*own, *values], names[0]), (usual, names[1]))
    first = next(n for n, node in enumerate(rest) if not kinds.keys().isdisjoint(_inputs(node)))
    del graph.node[:]
    graph.node.extend([*rest[:first], branch, *rest[first:]])


def _parted(nodes: Iterable[onnx.NodeProto], needed: set[str]) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto]]:
    """The nodes that what is `needed` rests on, and all others, each in order."""
    needed = set(needed)
    rest, own = [], []
    for node in reversed(list(nodes)):
        needed_here = needed.intersection(node.output)
        (rest if needed_here else own).insert(0, node)
        if needed_here:
            needed.update(_inputs(node))
    return rest, own


def _inputs(node: onnx.NodeProto) -> Iterator[str]:
    """Names of what a node takes, its branches included."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _inputs(inner)


def _branch(
    condition: str,
    kinds: dict[str, int],
    then: tuple[list[onnx.NodeProto], list[str]],
    otherwise: tuple[list[onnx.NodeProto], list[str]],
) -> onnx.NodeProto:
    """One of two lists of nodes; outputs and their `kinds` in the order in which both name their values."""
    then_branch, else_branch = (
        helper.make_graph(
            nodes,
            name,
            [],
            [helper.make_tensor_value_info(each, kind, None) for each, kind in zip(names, kinds.values(), strict=True)],
        )
        for name, (nodes, names) in (("then", then), ("otherwise", otherwise))
    )
    return helper.make_node(
        "If", [condition], list(kinds), name=condition, then_branch=then_branch, else_branch=else_branch
    )
