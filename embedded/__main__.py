"""``python -m embedded``: the command ``drophammer`` from a checkout."""

import sys

from embedded.cli import main

sys.exit(main())
