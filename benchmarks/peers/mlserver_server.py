"""MLServer with its runtime for scikit-learn: 784 numbers as JSON, over the Open Inference Protocol.

    python mlserver_server.py PORT [PARALLEL_WORKERS]

Without the second argument it is started as its documentation does, which is with a process for the model beside the
one that answers. With 0 both are one process, which spares one core the way between them.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import joblib
from model import classifier

if __name__ == "__main__":
    folder = Path(tempfile.mkdtemp())
    joblib.dump(classifier(), folder / "model.joblib")
    settings = {
        "name": "mnist-mlp",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": "./model.joblib", "version": "v1"},
    }
    (folder / "model-settings.json").write_text(json.dumps(settings))
    names = ("http_port", "parallel_workers")
    options = {name: int(value) for name, value in zip(names, sys.argv[1:], strict=False)}
    (folder / "settings.json").write_text(json.dumps(options))
    os.chdir(folder)
    os.execv(Path(sys.executable).with_name("mlserver"), ["mlserver", "start", "."])
