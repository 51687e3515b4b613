"""Ask the bare programs and the lab about every odd file in every role, and print where they disagree.

``python -m tests.own_files [WORD...]``: only files whose names hold one of the words. Exits 1 on any disagreement.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

from mtls_runner import Overrides
from mtls_runner.model.traits import Runtime

from .compare import disagreements
from .files import ODD


def main() -> int:
    words = sys.argv[1:]
    names = [name for name in ODD if not words or any(word in name for word in words)]
    with tempfile.TemporaryDirectory(prefix="own-files-") as directory:
        result = disagreements(Path(directory), names, Overrides(runtime=Runtime.PROCESS))
    for line in result.lines:
        print(line)
    counts = Counter(result.bare.values())
    asked = ", ".join(f"{number} {answer}" for answer, number in sorted(counts.items()))
    print(f"{len(names)} files, {len(result.bare)} questions ({asked}), {len(result.lines)} disagreements")
    return 1 if result.lines else 0


if __name__ == "__main__":
    sys.exit(main())
