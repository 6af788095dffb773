"""What the tests of augmentation share."""

import pytest
from PIL import Image

from tests.augment.pictures import drawn_images, real_images


@pytest.fixture(scope="module", params=["drawn", "real"])
def images(request) -> list[Image.Image]:
    if request.param == "drawn":
        return drawn_images()
    return real_images(request.getfixturevalue("shared_data"))
