"""What the tests of augmentation share."""

import pytest
import torch
from PIL import Image

from tests.augment.pictures import drawn_images, real_images


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """These images are too small for two threads to do anything but wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=["drawn", "real"])
def images(request) -> list[Image.Image]:
    if request.param == "drawn":
        return drawn_images()
    return real_images(request.getfixturevalue("shared_data"))
