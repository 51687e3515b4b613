"""Ask the bare programs and the lab about every odd file in every role, and print where they disagree.

``python -m tests.own_files [WORD...]``: only files whose names hold one of the words. Exits 1 on any disagreement.
"""

from __future__ import annotations

import sys
from collections import Counter

from ..workers import workers
from .compare import compared
from .files import ODD

_PARTS = 8
"""That the files are shared out in."""


def main() -> int:
    words = sys.argv[1:]
    names = [name for name in ODD if not words or any(word in name for word in words)]
    counts = Counter[str]()
    wrong = list[str]()
    with workers() as pool:
        parts = [names[start::_PARTS] for start in range(min(_PARTS, len(names)))]
        for answers, lines in pool.map(compared, parts):
            counts.update(answers)
            wrong += lines
    for line in wrong:
        print(line)
    asked = ", ".join(f"{number} {answer}" for answer, number in sorted(counts.items()))
    print(f"{len(names)} files, {counts.total()} questions ({asked}), {len(wrong)} disagreements")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
