"""The model's weights as files: JSON, npz and safetensors, of the whole network, of one layer or of some of its units.

Enters: a model. Leaves: Representations, serialised when first requested and cached. Out of scope: content negotiation
(`routes.model`).
"""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import safetensors.numpy

from service.api.representations import Representation
from service.errors import NoSuchLayer, NoSuchWeights
from service.model.artifact import Artifact
from service.model.network import Layer
from service.types import FloatArray

MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {"json": "application/json", "npz": "application/x-npz", "safetensors": "application/vnd.safetensors"}
)


class Weights:
    """The representations of one model's weights. Safe to use from several threads."""

    def __init__(self, model: Artifact) -> None:
        """Serialise the weights of `model`."""
        self._model = model
        self._cache: dict[tuple[str, int | None], Representation] = {}
        self._lock = threading.Lock()

    def get(self, file_format: str, index: int | None = None) -> Representation:
        """Return all weights, or those of layer `index`, in a format of MEDIA_TYPES.

        The first call for each takes up to a second and must not run in the event loop. Raises NoSuchLayer.
        """
        if index is not None:
            self.layer(index)
        key = file_format, index
        with self._lock:
            if key not in self._cache:
                self._cache[key] = Representation(self._serialize(file_format, index), MEDIA_TYPES[file_format])
            return self._cache[key]

    def part(
        self, file_format: str, index: int, units: Sequence[int] | None, inputs: Sequence[int] | None
    ) -> Representation:
        """Return the weights of layer `index` that lead from some inputs to some units, in the order of both.

        None stands for all. Not cached, since there are too many parts. Raises NoSuchLayer and NoSuchWeights.
        """
        layer = self.layer(index)
        _check("units", units, layer.n_out)
        _check("inputs", inputs, layer.n_in)
        weights, biases = layer.weights, layer.biases
        if units is not None:
            weights, biases = weights[:, units], biases[units]
        if inputs is not None:
            weights = weights[inputs]
        part = Layer(np.ascontiguousarray(weights), np.ascontiguousarray(biases), layer.activation)
        return Representation(_serialize_layers(file_format, {index: part}), MEDIA_TYPES[file_format])

    def layer(self, index: int) -> Layer:
        """Return one layer, counted from 0. Raises NoSuchLayer."""
        layers = self._model.network.layers
        if not 0 <= index < len(layers):
            message = f"there is no layer {index}: the network's are numbered 0 to {len(layers) - 1}"
            raise NoSuchLayer(message)
        return layers[index]

    def _serialize(self, file_format: str, index: int | None) -> bytes:
        if file_format == "safetensors" and index is None:
            return self._model.to_bytes()
        layers = self._model.network.layers
        if file_format == "json" and index is None:
            model = {"name": self._model.metadata.name, "version": self._model.version}
            parts = ",".join(_layer_json(i, layer) for i, layer in enumerate(layers))
            return f'{{"model":{json.dumps(model)},"layers":[{parts}]}}'.encode()
        return _serialize_layers(file_format, dict(enumerate(layers)) if index is None else {index: layers[index]})


def _check(name: str, indices: Sequence[int] | None, n: int) -> None:
    if indices is not None and not all(0 <= i < n for i in indices):
        message = f"{name} are numbered 0 to {n - 1} in this layer"
        raise NoSuchWeights(message)


def _serialize_layers(file_format: str, layers: Mapping[int, Layer]) -> bytes:
    """Return layers by index in a format of MEDIA_TYPES; in JSON, only one."""
    if file_format == "json":
        ((index, layer),) = layers.items()
        return _layer_json(index, layer).encode()
    tensors = {}
    for i, layer in layers.items():
        tensors[f"layers.{i}.weights"] = layer.weights
        tensors[f"layers.{i}.biases"] = layer.biases
    return safetensors.numpy.save(tensors) if file_format == "safetensors" else _npz(tensors)


def _layer_json(index: int, layer: Layer) -> str:
    facts = {"index": index, "activation": layer.activation, "n_in": layer.n_in, "n_out": layer.n_out}
    rows = ",".join(_json_array(row) for row in layer.weights)
    return f'{json.dumps(facts)[:-1]}, "weights":[{rows}],"biases":{_json_array(layer.biases)}}}'


def _json_array(values: FloatArray) -> str:
    """Return a JSON array of the shortest decimals that round-trip to the same float32."""
    return f"[{','.join(values.astype(np.str_).tolist())}]"


def _npz(tensors: Mapping[str, FloatArray]) -> bytes:
    """Return what np.savez writes, but reproducibly: np.savez stores the current time in each member."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, tensor in tensors.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, tensor, allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), member.getvalue())
    return buffer.getvalue()
