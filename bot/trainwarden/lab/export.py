"""A trained classifier in, the artefact out: ONNX in the precisions that serve, each held to PyTorch, and its seal.

``models/change-risk`` as inference servers read it: ``1/model.onnx`` (int8 weights, for CPU), ``1/model.fp16.onnx``
(for GPU), ``config.pbtxt``, ``tokenizer.json``, ``signals.json``, ``calibration.json``, ``card.md`` and, over all of
them, ``manifest.json`` with the sha256 of each.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import Tensor

from trainwarden.lab.dataset import Batch
from trainwarden.lab.network import FAMILIES, Classifier

INPUTS = ("ids", "tags", "signals")
OUTPUTS = ("risk", "family", "lines")
NAME = "change-risk"


@dataclass(frozen=True, slots=True)
class Deviation:
    """How far an exported model's risk logits are from PyTorch's on real units: the largest and the mean."""

    largest: float
    mean: float


def export(model: Classifier, out: Path) -> Path:
    """Writes the model as fp32 ONNX with dynamic batch, length and bag."""
    plain = copy.deepcopy(model).eval().float().cpu()
    shapes = ((2, 48), (2, 48), (2, 16))
    example = tuple(torch.ones(shape, dtype=torch.int64) for shape in shapes)
    batch, length, bag = (torch.export.Dim(name, min=1, max=4096) for name in ("batch", "length", "bag"))
    length = torch.export.Dim("length", min=2, max=256)
    program = torch.onnx.export(
        plain,
        example,
        input_names=list(INPUTS),
        output_names=list(OUTPUTS),
        dynamic_shapes=({0: batch, 1: length}, {0: batch, 1: length}, {0: batch, 1: bag}),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    path = out / "model.fp32.onnx"
    proto = program.model_proto
    _forget(proto)
    del proto.graph.value_info[:]  # shapes that were inferred for the example stand in the way of quantising
    onnx.save(proto, path)
    return path


def _forget(proto: onnx.ModelProto) -> None:
    """Drops what the exporter notes of where each node came from: paths of the machine that exported."""
    for holder in (proto, proto.graph, *proto.graph.node, *proto.graph.input, *proto.graph.output):
        holder.doc_string = ""
        del holder.metadata_props[:]


def quantize(fp32: Path, to: Path) -> None:
    """Weights of matrix products and tables as int8, per channel."""
    quantize_dynamic(fp32, to, per_channel=True, weight_type=QuantType.QInt8)


def halve(fp32: Path, to: Path) -> None:
    """Everything between the inputs and the outputs in fp16."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(fp32), keep_io_types=True), to)


def deviation(model: Classifier, onnx_file: Path, batches: list[Batch]) -> Deviation:
    """Compares risk logits on real units."""
    session = onnxruntime.InferenceSession(onnx_file.read_bytes(), providers=["CPUExecutionProvider"])
    gaps: list[float] = []
    model.eval()
    with torch.inference_mode():
        for batch in batches:
            ours = model(batch.ids, batch.tags, batch.signals)[0]
            feed = {name: _plain(getattr(batch, name)) for name in INPUTS}
            theirs = session.run(["risk"], feed)[0]
            gaps.extend(np.abs(_plain(ours) - np.asarray(theirs)).tolist())
    model.train()
    return Deviation(max(gaps), float(np.mean(gaps)))


def _plain(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().numpy()


def server_config() -> str:
    """``config.pbtxt``: how Triton's onnxruntime backend, and servers that read its layout, load the folder.

    They are given the half-precision network: int8 scales the activations of a batch as a whole, so that there a unit's
    score would depend on whose units happen to share its batch.
    """
    inputs = ",\n".join(f'  {{ name: "{name}" data_type: TYPE_INT64 dims: [ -1 ] }}' for name in INPUTS)
    dims = {
        "risk": "dims: [ 1 ] reshape: { shape: [ ] }",
        "family": f"dims: [ {FAMILIES} ]",
        "lines": "dims: [ -1 ]",
    }
    outputs = ",\n".join(f'  {{ name: "{name}" data_type: TYPE_FP32 {dims[name]} }}' for name in OUTPUTS)
    return (
        f'name: "{NAME}"\nbackend: "onnxruntime"\ndefault_model_filename: "model.fp16.onnx"\nmax_batch_size: 64\n'
        f"input [\n{inputs}\n]\noutput [\n{outputs}\n]\n"
        "dynamic_batching { max_queue_delay_microseconds: 2000 }\n"
        "instance_group [ { kind: KIND_AUTO count: 1 } ]\n"
    )
