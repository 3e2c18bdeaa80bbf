"""``python -m tests.fuzz --seed 1 --count 5000``."""

import sys

from tests.fuzz.outcome import main

sys.exit(main())
