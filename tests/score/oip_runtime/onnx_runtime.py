"""A model of MLServer that runs an ONNX file, and can be told to be slow or to answer what it should not.

Runs in the server's own environment. ``behave.json`` beside the model, read at each request: ``seconds`` to wait,
``answer``: ``short`` leaves numbers out.
"""

import asyncio
import json
from pathlib import Path

import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxModel(MLModel):
    """Runs ``parameters.uri``."""

    async def load(self) -> bool:
        """Opens the file on one thread."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        uri = self.settings.parameters.uri
        self._session = onnxruntime.InferenceSession(uri, options, providers=["CPUExecutionProvider"])
        self._behave = Path(self.settings.parameters.extra["behave"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """Runs one request."""
        how = json.loads(self._behave.read_text()) if self._behave.exists() else {}
        await asyncio.sleep(how.get("seconds", 0))
        feed = {tensor.name: NumpyCodec.decode_input(tensor) for tensor in payload.inputs}
        names = [output.name for output in self._session.get_outputs()]
        found = dict(zip(names, self._session.run(names, feed), strict=True))
        if how.get("answer") == "short":
            found["lines"] = found["lines"][:, :-1]
        outputs = [NumpyCodec.encode_output(name, found[name]) for name in names]
        return InferenceResponse(model_name=self.name, model_version="7", id=payload.id, outputs=outputs)
