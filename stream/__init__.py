"""The live path: turns, frontalises, drives or swaps the face in a video stream."""

import os

# The matrices of the live path are small. Spread over threads they take a hundred times as
# long on a busy machine, since each thread waits for the slowest. This must stand before the
# first import of numpy; who sets the variable keeps the say.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
