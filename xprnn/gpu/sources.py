"""The CUDA sources of the package, each as one text: no compiler needs to be told where the others are."""

import functools
import re

_INCLUDE = re.compile(r'^#include "([^"]+)"\n', re.MULTILINE)


@functools.cache
def source(file: str) -> str:
    """The text of ``file`` with all that it includes in its place, each once, in ASCII."""
    # CuPy writes it down in the locale's encoding, which may lack what only comments have.
    return _inlined(file, set()).encode("ascii", "replace").decode()


def _inlined(file: str, seen: set[str]) -> str:
    import importlib.resources  # takes its time, and most processes compile nothing

    seen.add(file)
    text = (importlib.resources.files(__package__) / "source" / file).read_text(encoding="utf-8")
    text = text.replace("#pragma once\n", "")
    return _INCLUDE.sub(lambda found: "" if found[1] in seen else _inlined(found[1], seen), text)
