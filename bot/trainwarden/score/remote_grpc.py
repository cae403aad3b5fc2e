"""The Open Inference Protocol v2 over gRPC, spoken by Triton's own client (extra ``remote``)."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from trainwarden.model import Misuse
from trainwarden.score.batches import OUTPUTS
from trainwarden.score.endpoint import Endpoint
from trainwarden.score.transport import Failure, Metadata, Tensor

LARGEST_ANSWER = 64 << 20
_AGAIN = frozenset(
    {"ABORTED", "DEADLINE_EXCEEDED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "UNKNOWN"}
)
_WRONG = frozenset({"NOT_FOUND", "PERMISSION_DENIED", "UNAUTHENTICATED", "UNIMPLEMENTED"})
_LONGEST_WORDS = 160


class GrpcTransport:
    """Keeps one channel open, of the process that uses it. May be used by several threads."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._module = _client_module()
        self._client: Any = None
        self._pid = 0
        self._lock = threading.Lock()

    def metadata(self, seconds: float) -> Metadata:
        """``ModelMetadata``."""
        try:
            said = self._ready().get_model_metadata(
                self._endpoint.model, headers=self._endpoint.headers(), client_timeout=seconds
            )
        except self._module.InferenceServerException as error:
            self._refused(error, seconds, also_wrong=frozenset({"INVALID_ARGUMENT"}))
        inputs, outputs = ({t.name: t.datatype for t in side} for side in (said.inputs, said.outputs))
        return Metadata(tuple(said.versions), inputs, outputs)

    def infer(
        self, tensors: Mapping[str, Sequence[Sequence[int]]], request_id: str, seconds: float
    ) -> Mapping[str, Tensor]:
        """``ModelInfer``."""
        module = self._module
        try:
            answer = self._ready().infer(
                self._endpoint.model,
                [_input(module, name, rows) for name, rows in tensors.items()],
                outputs=[module.InferRequestedOutput(name) for name in OUTPUTS],
                request_id=request_id,
                client_timeout=seconds,
                headers=self._endpoint.headers(),
            )
        except module.InferenceServerException as error:
            self._refused(error, seconds)
        return {output.name: _tensor(answer, output) for output in answer.get_response().outputs}

    def close(self) -> None:
        """Hangs up."""
        if self._client is not None and self._pid == os.getpid():
            self._client.close()
        self._client = None

    def _ready(self) -> Any:
        with self._lock:
            if self._client is None or self._pid != os.getpid():
                self._client, self._pid = self._connect(), os.getpid()
            return self._client

    def _connect(self) -> Any:
        end = self._endpoint
        if end.ca_file is not None and not Path(end.ca_file).is_file():
            raise Misuse(f"cannot read the certificates in {end.ca_file}")
        return self._module.InferenceServerClient(
            end.address,
            ssl=end.secure,
            root_certificates=end.ca_file,
            # The proxy of the environment is not the operator's choice of a scorer.
            channel_args=[
                ("grpc.enable_http_proxy", 0),
                ("grpc.max_receive_message_length", LARGEST_ANSWER),
            ],
        )

    def _refused(self, error: Any, seconds: float, also_wrong: frozenset[str] = frozenset()) -> NoReturn:
        status = str(error.status() or "").removeprefix("StatusCode.")
        if status == "UNAVAILABLE":
            # The channel has a back-off of its own; a new one connects as soon as we ask. Others may still use it.
            self._client = None
        if status == "DEADLINE_EXCEEDED":
            raise Failure(f"did not answer within {seconds:.1f} s", again=True) from error
        if status == "UNAVAILABLE":
            raise Failure("did not answer", again=True) from error
        words = f"answered {status or 'an error'}{_words(str(error.message() or ''))}"
        if status in _WRONG | also_wrong:
            asked = f"the scorer {self._endpoint.address}, asked for the model {self._endpoint.model!r},"
            raise Misuse(
                f"{asked} {words}",
                "see that the name is right, that it is loaded, and that the token is good",
            ) from error
        raise Failure(words, again=status in _AGAIN) from error


def _client_module() -> Any:
    try:
        import tritonclient.grpc as module
    except ImportError as error:
        hint = "pip install 'trainwarden[remote]', or use http:// or https://, which need nothing more"
        raise Misuse(
            f"a scorer over gRPC needs tritonclient, which is not installed ({error})", hint
        ) from error
    return module


def _input(module: Any, name: str, rows: Sequence[Sequence[int]]) -> Any:
    import numpy

    values = numpy.array(rows, numpy.int64)
    tensor = module.InferInput(name, list(values.shape), "INT64")
    tensor.set_data_from_numpy(values)
    return tensor


def _tensor(answer: Any, output: Any) -> Tensor:
    values = answer.as_numpy(output.name)
    if values is None:
        raise Failure("answered with something else than tensors", again=False)
    return Tensor(output.datatype, tuple(output.shape), values.ravel().tolist())


def _words(text: str) -> str:
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f" ({clean[:_LONGEST_WORDS]})" if clean else ""
