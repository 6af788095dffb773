"""VICRegL pretraining at the speed of the hardware (Bardes, Ponce, LeCun, NeurIPS 2022)."""
