"""Starts a real server of the Open Inference Protocol (MLServer, in its own environment) on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = Path(__file__).parent / "oip_runtime"
PROGRAM = ROOT / ".venv-oip" / "bin" / "mlserver"
START_SECONDS = 300
TENSORS = {
    "inputs": {"ids": "INT64", "tags": "INT64", "signals": "INT64"},
    "outputs": {"risk": "FP32", "family": "FP32", "lines": "FP32"},
}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class OipServer:
    """A server of one model folder; may be killed and started again on the same ports."""

    def __init__(self, folder: Path, model: Path) -> None:
        self._folder = folder
        self.http, self.grpc, metrics = free_port(), free_port(), free_port()
        self._write("settings.json", http_port=self.http, grpc_port=self.grpc, metrics_port=metrics)
        self._serve("change-risk", model, TENSORS)
        self._serve("something-else", model, {**TENSORS, "inputs": {"pixels": "FP32"}})
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it and waits until both models are ready."""
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(RUNTIME), "HOME": str(self._folder)}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(PROGRAM), "start", str(self._folder)],
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self._folder,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if time.monotonic() > deadline or self._process.poll() is not None:
                self.kill()
                raise AssertionError((self._folder / "log").read_text()[-2000:])
            time.sleep(0.1)

    def kill(self) -> None:
        """Ends it and its helpers at once."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Stops it: connections are taken, and nothing is answered."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def behave(self, **how: object) -> None:
        """Tells the model how to answer from now on, see ``oip_runtime``."""
        self._write("behave.json", **how)

    def _ready(self) -> bool:
        for name in ("change-risk", "something-else"):
            try:
                urllib.request.urlopen(
                    f"http://127.0.0.1:{self.http}/v2/models/{name}/ready", timeout=2
                ).close()
            except OSError:
                return False
        return True

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
