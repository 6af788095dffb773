"""The states of torch's random generators in this process."""

import torch


def generator_states(device: torch.device) -> dict[str, torch.Tensor]:
    """Returns the states of torch's random generators in this process, each a uint8 tensor on the CPU."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_generator_states(states: dict[str, torch.Tensor], device: torch.device) -> None:
    """Restores what ``generator_states`` returned; a CUDA state is ignored if ``device`` is the CPU."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda" and "cuda" in states:
        torch.cuda.set_rng_state(states["cuda"], device)
