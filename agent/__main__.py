"""``python -m agent``: what the ramdisk's init starts."""

import sys

from agent.main import main

sys.exit(main())
