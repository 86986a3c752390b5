"""Puts the compiled loops of `ag.compile` into the wheel where there is a C compiler, and says so where there is none: that is no error."""

from __future__ import annotations

import runpy
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOM = "autograd_core/compiling"


class CompileLoops(BuildHookInterface):
    """A wheel with the library is one for its platform, and for every Python 3; without, it is pure."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel":
            return
        room = Path(self.root) / ROOM
        loops = runpy.run_path(str(room / "loops_build.py"))
        editable = version == "editable"
        self.folder = tempfile.TemporaryDirectory()
        try:
            # An editable installation uses the checkout, so the library has to be there; git ignores it.
            binary = loops["build"](room if editable else Path(self.folder.name))
        except loops["CannotBuildError"] as error:
            self.app.display_warning(f"The loops of ag.compile were not compiled, it will replay in Python: {error}")
            return
        if not editable:
            build_data["force_include"][str(binary)] = f"{ROOM}/{binary.name}"
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{loops['platform_tag']()}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if self.target_name == "wheel":
            self.folder.cleanup()
