"""Starts a real server of the Open Inference Protocol (MLServer, in its own environment) on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from local_server import ROOT, LocalServer, free_port

RUNTIME = Path(__file__).parent / "oip_runtime"
PROGRAM = ROOT / ".venv-oip" / "bin" / "mlserver"
TENSORS = {
    "inputs": {"ids": "INT64", "tags": "INT64", "signals": "INT64"},
    "outputs": {"risk": "FP32", "family": "FP32", "lines": "FP32"},
}


class OipServer(LocalServer):
    """A server of one model folder."""

    start_seconds = 300

    def __init__(self, folder: Path, model: Path) -> None:
        super().__init__(folder)
        self.http, self.grpc, metrics = free_port(), free_port(), free_port()
        self._write("settings.json", http_port=self.http, grpc_port=self.grpc, metrics_port=metrics)
        self._serve("change-risk", model, TENSORS)
        self._serve("something-else", model, {**TENSORS, "inputs": {"pixels": "FP32"}})

    def behave(self, **how: object) -> None:
        """Tells the model how to answer from now on, see ``oip_runtime``."""
        self._write("behave.json", **how)

    def _command(self) -> Sequence[str]:
        return [str(PROGRAM), "start", str(self._folder)]

    def _environment(self) -> dict[str, str]:
        return {"PYTHONPATH": str(RUNTIME)}

    def _ready_when(self) -> Iterable[str]:
        names = ("change-risk", "something-else")
        return [f"http://127.0.0.1:{self.http}/v2/models/{name}/ready" for name in names]

    def _serve(self, name: str, model: Path, tensors: dict[str, dict[str, str]]) -> None:
        (self._folder / name).mkdir()
        self._write(
            f"{name}/model-settings.json",
            name=name,
            implementation="onnx_runtime.OnnxModel",
            versions=["7"],
            parameters={"uri": str(model), "extra": {"behave": str(self._folder / "behave.json")}},
            **{
                side: [{"name": n, "datatype": t, "shape": [-1, -1]} for n, t in tensors[side].items()]
                for side in tensors
            },
        )

    def _write(self, name: str, /, **document: object) -> None:
        if name == "settings.json":
            document |= {"host": "127.0.0.1", "parallel_workers": 0, "debug": False}
        draft = self._folder / f"{name}.new"
        draft.write_text(json.dumps(document))
        draft.replace(self._folder / name)
