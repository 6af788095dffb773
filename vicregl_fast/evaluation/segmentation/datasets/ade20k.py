"""ADE20K as the scene parsing challenge of 2016 has it: 20,210 training and 2,000 validation images, 150 classes.

``images/{training,validation}/*.jpg`` have masks ``annotations/{training,validation}/*.png``, in which 0 is anything
else and ignored, and 1 to 150 are the classes.
"""

from pathlib import Path

from dataprep.errors import UserError
from vicregl_fast.evaluation.segmentation.datasets.dataset import SegmentationDataset, folder_with
from vicregl_fast.evaluation.segmentation.labels import Labels
from vicregl_fast.evaluation.segmentation.pairs import Pairs, check_files

CLASSES = (
    "wall", "building", "sky", "floor", "tree", "ceiling", "road", "bed", "windowpane", "grass", "cabinet", "sidewalk",
    "person", "earth", "door", "table", "mountain", "plant", "curtain", "chair", "car", "water", "painting", "sofa",
    "shelf", "house", "sea", "mirror", "rug", "field", "armchair", "seat", "fence", "desk", "rock", "wardrobe", "lamp",
    "bathtub", "railing", "cushion", "base", "box", "column", "signboard", "chest of drawers", "counter", "sand",
    "sink", "skyscraper", "fireplace", "refrigerator", "grandstand", "path", "stairs", "runway", "case", "pool table",
    "pillow", "screen door", "stairway", "river", "bridge", "bookcase", "blind", "coffee table", "toilet", "flower",
    "book", "hill", "bench", "countertop", "stove", "palm", "kitchen island", "computer", "swivel chair", "boat", "bar",
    "arcade machine", "hovel", "bus", "towel", "light", "truck", "tower", "chandelier", "awning", "streetlight",
    "booth", "television receiver", "airplane", "dirt track", "apparel", "pole", "land", "bannister", "escalator",
    "ottoman", "bottle", "buffet", "poster", "stage", "van", "ship", "fountain", "conveyer belt", "canopy", "washer",
    "plaything", "swimming pool", "stool", "barrel", "basket", "waterfall", "tent", "bag", "minibike", "cradle", "oven",
    "ball", "food", "step", "tank", "trade name", "microwave", "pot", "animal", "bicycle", "lake", "dishwasher",
    "screen", "blanket", "sculpture", "hood", "sconce", "vase", "traffic light", "tray", "ashcan", "fan", "pier",
    "crt screen", "plate", "monitor", "bulletin board", "shower", "radiator", "glass", "clock", "flag",
)  # fmt: skip
LABELS = Labels(len(CLASSES), zero_ignored=True, names=CLASSES)


def open_ade20k(root: Path) -> SegmentationDataset:
    """Finds the images and masks below ``root``: ``ADEChallengeData2016``, or what holds it.

    Raises:
        UserError: a folder or file is missing.
    """
    inside = ("ADEChallengeData2016", "ade/ADEChallengeData2016")
    folder = folder_with(root, inside, "annotations", "ADE20K (ADEChallengeData2016)")
    return SegmentationDataset(_pairs(folder, "training"), _pairs(folder, "validation"), LABELS)


def _pairs(folder: Path, side: str) -> Pairs:
    images = sorted(path.name for path in (folder / "images" / side).glob("*.jpg"))
    if not images:
        raise UserError(f"ADE20K has no images there: looked for {folder / 'images' / side}/*.jpg")
    masks = [(folder / "annotations" / side / image).with_suffix(".png") for image in images]
    check_files(masks, "masks of ADE20K")
    return Pairs(folder / "images" / side, tuple(images), tuple(masks), str(folder / "annotations" / side))
