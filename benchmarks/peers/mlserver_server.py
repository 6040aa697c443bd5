"""MLServer with its runtime for scikit-learn: 784 numbers as JSON, over the Open Inference Protocol.

    python mlserver_server.py PORT [PARALLEL_WORKERS]

Without PARALLEL_WORKERS it starts as documented: the model runs in a worker process, apart from the HTTP server. With 0
both are one process, which saves the inter-process communication.
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
