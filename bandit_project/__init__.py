import os

__version__ = "0.1.0"

# Before numpy is loaded: the engine's matrices are small, and threads that share the cores with other workers only get
# in each other's way (an odd request of 50 variants took 7 to 17 seconds, and takes 2 to 3).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
