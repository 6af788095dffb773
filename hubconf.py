"""What ``torch.hub.load(CHECKOUT, "vicregl", PATH, source="local")`` finds here."""

from vicregl_fast import load_backbone as vicregl  # noqa: F401

dependencies = ["torch", "timm", "safetensors", "jsonargparse", "yaml", "tqdm"]
