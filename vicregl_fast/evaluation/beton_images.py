"""Single images of a ``.beton`` store."""

import io
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from dataprep.errors import UserError
from dataprep.manifest import RAW_MODE
from vicregl_fast.data.ffcv_engine.beton import open_beton
from vicregl_fast.evaluation.stored_images import StoredImages


class BetonImages(StoredImages):
    """Images of a ``.beton`` store."""

    def __init__(self, path: Path):
        store = open_beton(path)
        self.path = path
        self.labels = None if store.labels is None else torch.from_numpy(store.labels)
        self.classes = store.classes
        self._records = store.image_metadata
        allocations = store.reader.alloc_table
        self._sizes = dict(zip(allocations["ptr"].tolist(), allocations["size"].tolist(), strict=True))

    def __len__(self) -> int:
        return len(self._records)

    def open(self, index: int) -> Image.Image:
        record = self._records[index]
        start = int(record["data_ptr"])
        with self.path.open("rb") as file:
            file.seek(start)
            data = file.read(self._sizes[start])
        if record["mode"] == RAW_MODE:
            shape = (int(record["height"]), int(record["width"]), 3)
            return Image.fromarray(np.frombuffer(data, np.uint8).reshape(shape))
        try:
            return Image.open(io.BytesIO(data)).convert("RGB")
        except (OSError, SyntaxError) as error:
            raise UserError(f"image {index} of {self.path} cannot be decoded ({error}): convert it again") from error
