"""Units in, scores out: the network runs in this process with onnxruntime, on its processor or its GPU.

There is one session a process, made when the first unit is to be scored and in the process that scores it: threads and
GPU handles do not survive a fork. On a processor units run one by one, so that the score of a unit never depends on
its neighbours; on a GPU in batches of about the same length. Output buffers are bound once and used again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, distribution
from typing import TYPE_CHECKING, Any

from trainwarden.model import Device, Misuse, Score, Unfinished, Unit
from trainwarden.score.artifact import HALF, MODEL, Artifact, load_encoder
from trainwarden.score.batches import FAMILIES, INPUTS, OUTPUTS, Answer, Batch, batches, rows, scores
from trainwarden.score.features import LONGEST, Encoded

if TYPE_CHECKING:
    import onnxruntime

PACKAGES = ("onnxruntime", "onnxruntime-gpu")
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
GPU_BATCH = 64
_QUIET = 4  # onnxruntime's level "fatal": what goes wrong is told by us, not by a page of its log
_QUANTIZED = b"DynamicQuantizeLinear"  # an operator of networks whose weights are int8


class Embedded:
    """The ``Scorer`` that needs no server. May be used by several threads, one at a time.

    ``threads``: 0 takes two, or one where several ``workers`` share the machine. ``device``: ``auto`` takes a GPU that
    works, ``cuda`` refuses to go on without one.
    """

    def __init__(
        self, artifact: Artifact, device: Device = "auto", threads: int = 0, workers: int = 1
    ) -> None:
        self._artifact = artifact
        self._encoder = load_encoder(artifact)
        self._device, self._threads, self._workers = device, threads, workers
        self._runner: Runner | None = None
        self._inherited: list[Runner] = []
        self.digest = artifact.digest

    @property
    def name(self) -> str:
        """``change-risk (embedded, CPU)``; without the device before the first unit has been scored."""
        runner = self._runner
        return f"{self._artifact.name} (embedded{f', {runner.device}' if runner else ''})"

    @property
    def notes(self) -> tuple[str, ...]:
        """None: it runs as it was asked to, or raises."""
        return ()

    def score(self, units: Sequence[Unit]) -> tuple[Score, ...]:
        """One score a unit, in order. Raises ``Misuse`` when the network cannot be run as was asked for."""
        return self.score_encoded([self._encoder.encode(unit) for unit in units])

    def score_encoded(self, encoded: Sequence[Encoded]) -> tuple[Score, ...]:
        """The same for units that are encoded already."""
        if not encoded:
            return ()
        runner = self._ready()
        found: dict[int, Score] = {}
        for batch in batches(encoded, runner.largest):
            found.update(scores(encoded, batch, runner.run(encoded, batch), self._artifact.calibration))
        return tuple(found[place] for place in range(len(encoded)))

    def close(self) -> None:
        """Lets the session go."""
        if self._runner is not None and self._runner.pid == os.getpid():
            self._runner = None

    def _ready(self) -> Runner:
        if self._runner is not None and self._runner.pid != os.getpid():
            # Destroying it here would wait for threads that only the parent has.
            self._inherited.append(self._runner)
            self._runner = None
        if self._runner is None:
            self._runner = Runner(self._artifact, self._device, *plan(self._threads, self._workers))
        return self._runner


def plan(threads: int, workers: int) -> tuple[int, bool]:
    """How many threads a session takes, and whether they may spin while they wait for work."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = threads or (1 if workers > 1 else min(2, cores))
    return count, count * workers <= cores


class Runner:
    """One session with its buffers, of one process. ``device`` is what it really runs on, ``precision`` how."""

    def __init__(self, artifact: Artifact, device: Device, threads: int, spin: bool) -> None:
        import numpy

        self.pid = os.getpid()
        self._numpy: Any = numpy
        self._session = _session(artifact, device, threads, spin)
        self._errors = _errors(runtime())
        _expect(artifact.name, self._session)
        on_gpu = self._session.get_providers()[0] == CUDA
        self.device = "CUDA" if on_gpu else "CPU"
        self.precision = _precision(artifact, on_gpu)
        self.largest = GPU_BATCH if on_gpu else 1
        self._binding = self._session.io_binding()
        self._outputs: dict[str, Any] = {}
        self._room = 0
        self._lock = threading.Lock()

    def run(self, encoded: Sequence[Encoded], batch: Batch) -> Answer:
        """Runs one batch."""
        count = len(batch.places)
        shapes = ((count,), (count, FAMILIES), (count, batch.length))
        tensors = [self._numpy.array(tensor, self._numpy.int64) for tensor in rows(encoded, batch)]
        with self._lock:
            self._make_room(count)
            for name, tensor in zip(INPUTS, tensors, strict=True):
                self._binding.bind_cpu_input(name, tensor)
            for name, shape in zip(OUTPUTS, shapes, strict=True):
                pointer = self._outputs[name].ctypes.data
                self._binding.bind_output(name, "cpu", 0, self._numpy.float32, shape, pointer)
            try:
                self._session.run_with_iobinding(self._binding)
                self._binding.synchronize_outputs()
            except self._errors as error:
                raise Unfinished(f"the network cannot be run: {_first_line(error)}") from error
            return Answer(*(self._read(name, shape) for name, shape in zip(OUTPUTS, shapes, strict=True)))

    def _make_room(self, count: int) -> None:
        if count > self._room:
            self._room = max(count, self.largest)
            self._outputs = {
                name: self._numpy.zeros(self._room * width, self._numpy.float32)
                for name, width in zip(OUTPUTS, (1, FAMILIES, LONGEST), strict=True)
            }

    def _read(self, name: str, shape: tuple[int, ...]) -> Any:
        size = self._numpy.prod(shape)
        return self._outputs[name][:size].reshape(shape).tolist()


def _precision(artifact: Artifact, on_gpu: bool) -> str:
    if on_gpu and HALF in artifact.files:
        return "fp16"
    return "int8" if _QUANTIZED in artifact.files[MODEL] else "fp32"


def runtime() -> Any:
    """The onnxruntime module. Raises ``Misuse`` when it is missing or broken."""
    try:
        import onnxruntime
    except ImportError as error:
        hint = (
            "pip install 'trainwarden[model]' (or 'trainwarden[gpu]'), or leave the model out with --no-model"
        )
        raise Misuse(f"the learned risk needs onnxruntime, which is not installed ({error})", hint) from error
    if _both() or not hasattr(onnxruntime, "InferenceSession"):
        hint = "pip uninstall onnxruntime onnxruntime-gpu, then install one of the extras `model` and `gpu` again"
        raise Misuse("onnxruntime and onnxruntime-gpu overwrite each other: only one may be installed", hint)
    return onnxruntime


def _both() -> bool:
    """Whether both packages lie in the one folder they share; pip does not mind."""
    for name in PACKAGES:
        try:
            distribution(name)
        except PackageNotFoundError:
            return False
    return True


def _session(artifact: Artifact, device: Device, threads: int, spin: bool) -> onnxruntime.InferenceSession:
    """A session on the device asked for; what it runs on is asked of the session, which alone tells the truth."""
    ort = runtime()
    try:
        return _on_device(ort, artifact, device, threads, spin)
    except _errors(ort) as error:
        hint = "export it for this version of trainwarden and onnxruntime"
        raise Misuse(
            f"the network of {artifact.name} cannot be loaded: {_first_line(error)}", hint
        ) from error


def _on_device(
    ort: Any, artifact: Artifact, device: Device, threads: int, spin: bool
) -> onnxruntime.InferenceSession:
    if device != "cpu" and (session := _on_gpu(ort, artifact, threads, spin)) is not None:
        return session
    if device == "cuda":
        hint = "pip install 'trainwarden[gpu]' and see that `nvidia-smi` works, or choose `device: cpu`"
        raise Misuse("no CUDA device can be used, and `device: cuda` allows no other", hint)
    return ort.InferenceSession(artifact.files[MODEL], _options(ort, threads, spin), providers=[CPU])


def _on_gpu(ort: Any, artifact: Artifact, threads: int, spin: bool) -> onnxruntime.InferenceSession | None:
    # The list tells what the package was built with, not what is there: without it nothing need be tried, with it
    # onnxruntime would log an error and go on with the processor.
    if CUDA not in ort.get_available_providers() or not _driver():
        return None
    if hasattr(ort, "preload_dlls"):
        ort.preload_dlls()
    # Full precision, as the processor has it, where the model is not the half-precision one.
    providers = [(CUDA, {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}), CPU]
    data = artifact.files.get(HALF, artifact.files[MODEL])
    session = ort.InferenceSession(data, _options(ort, threads, spin), providers=providers)
    return session if session.get_providers()[0] == CUDA else None


def _expect(name: str, session: onnxruntime.InferenceSession) -> None:
    for ours, theirs in ((INPUTS, session.get_inputs()), (OUTPUTS, session.get_outputs())):
        if sorted(ours) != sorted(each.name for each in theirs):
            listed = ", ".join(sorted(each.name for each in theirs))
            raise Misuse(f"the network of {name} has {listed} where {', '.join(sorted(ours))} were due")


def _errors(ort: Any) -> tuple[type[Exception], ...]:
    """The exceptions of onnxruntime, which have no root of their own."""
    state = ort.capi.onnxruntime_pybind11_state
    found = [each for each in vars(state).values() if isinstance(each, type) and issubclass(each, Exception)]
    return (*found, RuntimeError)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _driver() -> bool:
    """Whether the NVIDIA driver can be loaded."""
    import ctypes

    try:
        ctypes.CDLL("nvcuda.dll" if os.name == "nt" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _options(ort: Any, threads: int, spin: bool) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.enable_mem_pattern = False  # it keeps a plan for every length there is
    options.log_severity_level = _QUIET
    options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spin else "0")
    return options
