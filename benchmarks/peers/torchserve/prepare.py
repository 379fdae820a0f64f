"""Makes an archive of each model, as ``torch-model-archiver`` does it: MODELS STORE HANDLER."""

import subprocess
import sys
from pathlib import Path

models, store, handler = map(Path, sys.argv[1:])
store.mkdir()
for file in models.glob("*/model.*"):
    subprocess.run(
        [
            *("torch-model-archiver", "--model-name", file.parent.name, "--version", "1.0"),
            *("--serialized-file", file, "--handler", handler),
            *("--archive-format", "no-archive", "--export-path", store),
        ],
        check=True,
    )
