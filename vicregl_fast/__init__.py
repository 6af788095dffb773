"""VICRegL pretraining at the speed of the hardware (Bardes, Ponce, LeCun, NeurIPS 2022)."""

import os

# Before torch takes its first memory: large tensors on huge pages, where Linux leaves the choice to programs. Without
# them every fresh tensor costs its page faults, five times what it takes to fill it.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
