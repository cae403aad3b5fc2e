"""An artefact in, the same network in PyTorch out, as engines of ``model bench``: eager and compiled.

Weights do not change how fast a network runs, so random ones will do; sizes are read from the ONNX file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from shutil import which

import onnx
import torch
from torch import Tensor

from trainwarden.lab.network import Classifier, Shape
from trainwarden.model import Device
from trainwarden.score.artifact import MODEL, SIGNALS, TOKENIZER, Artifact
from trainwarden.score.batches import Batch, rows
from trainwarden.score.bench import Engine, Run
from trainwarden.score.features import Encoded

_BLOCK = re.compile(r"blocks\.(\d+)\.up\.bias")


def engines(artifact: Artifact, device: Device, threads: int) -> Iterator[Engine]:
    """PyTorch on the processor and, where it works, on a GPU; each eager and compiled."""
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    network = Classifier(shape_of(artifact)).eval()
    where = {"cpu": device != "cuda", "cuda": device != "cpu" and torch.cuda.is_available()}
    for name in (name for name, wanted in where.items() if wanted):
        yield _engine(network, name, compiled=False)
        if name == "cuda" or which("c++") is not None:  # on a processor it is compiled as C++
            yield _engine(network, name, compiled=True)


def shape_of(artifact: Artifact) -> Shape:
    """The sizes of the exported network."""
    graph = onnx.load_model_from_string(artifact.files[MODEL]).graph
    sizes = {tensor.name: tuple(tensor.dims) for tensor in graph.initializer}
    places = next(dims for name, dims in sizes.items() if "places.weight" in name and len(dims) == 2)
    blocks = {int(found[1]): dims for name, dims in sizes.items() if (found := _BLOCK.search(name))}
    width = places[1]
    return Shape(
        vocabulary=len(json.loads(artifact.files[TOKENIZER])["model"]["vocab"]),
        signals=len(json.loads(artifact.files[SIGNALS])),
        width=width,
        depth=len(blocks),
        heads=width // 64,
        inner=blocks[0][0],
    )


def _engine(network: Classifier, device: str, compiled: bool) -> Engine:
    half = device == "cuda"
    placed = network.to(device, torch.float16 if half else torch.float32)
    run = torch.compile(placed, mode="reduce-overhead" if half else "default") if compiled else placed

    def prepare(units: Sequence[Encoded]) -> Run:
        batch = Batch(tuple(range(len(units))), len(units[0].ids))

        def once() -> list[list[float]]:
            with torch.inference_mode():
                feed = [torch.tensor(tensor, dtype=torch.int64).to(device) for tensor in rows(units, batch)]
                found: tuple[Tensor, ...] = run(*feed)
                return [tensor.float().cpu().tolist() for tensor in found]

        return once

    name = f"PyTorch {device.upper()} {'fp16' if half else 'fp32'} {'compiled' if compiled else 'eager'}"
    return Engine(name, prepare)
