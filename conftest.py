"""What holds for all tests, of core and of the plugins: no network, and one thread on a busy machine."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
