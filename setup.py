"""The extensions: which modules are compiled, and how. All else about the package stands in
pyproject.toml.

Two steps, each on all cores: Cython translates, then the C compiler compiles.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FOLDERS: Final = ("runtime", "actors", "tools")
COMPILED_PYTHON: Final = ("actors/shard/event_run.py", "actors/shard/agent_table.py")
"""Python as it stands; the `.pxd` beside it says what is typed in the hot loop."""
CORES: Final = os.cpu_count() or 1


def extensions(root: Path) -> list[Extension]:
    """All that there are below the root, their sources relative to it."""
    sources = [
        path.relative_to(root).as_posix()
        for folder in FOLDERS
        for path in (root / folder).rglob("*.pyx")
    ]
    return [
        Extension(source.rpartition(".")[0].replace("/", "."), [source])
        for source in sorted([*sources, *COMPILED_PYTHON])
    ]


class BuildExtensions(build_ext):
    """Translates when there is something to build, not when only metadata is asked for."""

    def finalize_options(self) -> None:
        super().finalize_options()
        if self.parallel is None:
            self.parallel = CORES

    def build_extensions(self) -> None:
        from Cython.Build import cythonize  # noqa: PLC0415 - not there when a source is listed

        translated = cythonize(self.extensions, nthreads=CORES, quiet=True)
        for ours, theirs in zip(self.extensions, translated, strict=True):
            assert ours.name == theirs.name
            ours.sources = theirs.sources
            # Debugger's tables are two thirds of an extension, and a third of the time to build it.
            ours.extra_compile_args = [*theirs.extra_compile_args, "-g0"]
        super().build_extensions()


if __name__ == "__main__":
    setup(ext_modules=extensions(Path()), cmdclass={"build_ext": BuildExtensions})
