"""`python -m eurydice_core` is `eurydice`."""

from __future__ import annotations

import sys

from eurydice_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
