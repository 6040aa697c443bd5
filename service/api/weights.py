"""The weights as files: JSON, npz and safetensors, of the whole network or of one layer, each with its gzip form.

Leaves: Representations. Made when first asked for and kept. Out of scope: which one a client gets (`routes.model`).
"""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import safetensors.numpy

from service.api.representation import Representation
from service.errors import NoSuchLayer
from service.model.artifact import Artifact
from service.model.network import Layer
from service.types import FloatArray

MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {"json": "application/json", "npz": "application/x-npz", "safetensors": "application/vnd.safetensors"}
)


class Weights:
    """The representations of one model's weights."""

    def __init__(self, model: Artifact) -> None:
        """Show the weights of this model."""
        self._model = model
        self._made: dict[tuple[str, int | None], Representation] = {}
        self._lock = threading.Lock()

    def get(self, form: str, index: int | None = None) -> Representation:
        """Return all weights, or those of layer `index`, as `json`, `npz` or `safetensors`.

        The first call for each takes up to a second and belongs off the event loop. Raises NoSuchLayer.
        """
        if index is not None:
            self.layer(index)
        with self._lock:
            if (form, index) not in self._made:
                self._made[form, index] = Representation(self._make(form, index), MEDIA_TYPES[form])
            return self._made[form, index]

    def layer(self, index: int) -> Layer:
        """Return one layer. Raises NoSuchLayer."""
        layers = self._model.network.layers
        if not 0 <= index < len(layers):
            message = f"there is no layer {index}: the network's are numbered 0 to {len(layers) - 1}"
            raise NoSuchLayer(message)
        return layers[index]

    def _make(self, form: str, index: int | None) -> bytes:
        if form == "safetensors" and index is None:
            return self._model.to_bytes()
        numbers = range(len(self._model.network.layers)) if index is None else [index]
        if form == "json":
            layers = [self._layer_json(number) for number in numbers]
            if index is not None:
                return layers[0].encode()
            model = {"name": self._model.metadata.name, "version": self._model.version}
            return f'{{"model":{json.dumps(model)},"layers":[{",".join(layers)}]}}'.encode()
        tensors = {}
        for number in numbers:
            layer = self._model.network.layers[number]
            tensors[f"layers.{number}.weights"] = layer.weights
            tensors[f"layers.{number}.biases"] = layer.biases
        return safetensors.numpy.save(tensors) if form == "safetensors" else _npz(tensors)

    def _layer_json(self, number: int) -> str:
        layer = self._model.network.layers[number]
        facts = {"index": number, "activation": layer.activation, "n_in": layer.n_in, "n_out": layer.n_out}
        rows = ",".join(_numbers(row) for row in layer.weights)
        return f'{json.dumps(facts)[:-1]}, "weights":[{rows}],"biases":{_numbers(layer.biases)}}}'


def _numbers(values: FloatArray) -> str:
    """Return a JSON array with the shortest decimals that give back the same float32."""
    return f"[{','.join(values.astype(np.str_).tolist())}]"


def _npz(tensors: Mapping[str, FloatArray]) -> bytes:
    """Return what np.savez writes, but the same bytes every time: its members carry the time of day."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, tensor in tensors.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, tensor, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())
    return buffer.getvalue()
