"""The code location that Dagster loads: that of the workspace $DEEPMARK_WORKSPACE, or of this folder."""

import os
from pathlib import Path

from pipelines.code_location import build_definitions

defs = build_definitions(Path(os.environ.get("DEEPMARK_WORKSPACE", ".")).resolve())
