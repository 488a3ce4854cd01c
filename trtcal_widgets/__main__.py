"""``python -m trtcal_widgets`` is ``trtcal``."""

from __future__ import annotations

import sys

from trtcal_widgets.cli import main

if __name__ == "__main__":
    sys.exit(main())
