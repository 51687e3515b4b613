"""Makes docs/atlas.png, a picture of docs/atlas.html where servers differ.

python -m tests.html.atlas_picture
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.html.browser import browser, executable

DOCS = Path(__file__).parents[2] / "docs"


def main() -> int:
    program = executable()
    if program is None:
        print("Chromium is not installed (Debian: apt-get install chromium)", file=sys.stderr)
        return 1
    with browser(program) as tab:
        tab.look(width=1400, height=760)
        tab.open(DOCS / "atlas.html", "#differ=1")
        tab.picture(DOCS / "atlas.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
