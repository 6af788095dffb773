"""The values of those options that several rooms have."""

from typing import Literal, get_args

DeviceName = Literal["cpu", "cuda"]
DeviceChoice = Literal["auto", DeviceName]
DEVICE_CHOICES: tuple[DeviceChoice, ...] = get_args(DeviceChoice)

PrecisionName = Literal["fp32", "bf16", "fp16"]
PrecisionChoice = Literal["auto", PrecisionName]
PRECISIONS: tuple[PrecisionName, ...] = get_args(PrecisionName)
