"""MLServer with its runtime for scikit-learn: 784 numbers as JSON, over the Open Inference Protocol."""

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
    (folder / "settings.json").write_text(json.dumps({"http_port": int(sys.argv[1])}))
    os.chdir(folder)
    os.execv(Path(sys.executable).with_name("mlserver"), ["mlserver", "start", "."])
