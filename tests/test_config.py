"""Recipes and command line give the configuration that is meant; what is wrong is one sentence."""

from dataclasses import asdict, fields
from pathlib import Path

import pytest
import yaml

from dataprep.errors import UserError
from vicregl_fast.augment.recipe import view_recipes
from vicregl_fast.config import RunConfig, dump_config, load_config, parse_config
from vicregl_fast.losses.config import LossConfig
from vicregl_fast.optim.config import OptimConfig
from vicregl_fast.optim.schedule import Schedule

CONFIGS = Path(__file__).parents[1] / "configs"


def test_the_defaults_are_the_released_recipe() -> None:
    config = parse_config([])
    assert config == RunConfig()
    assert (config.epochs, config.batch_size, config.model.backbone) == (300, 2048, "resnet50")
    assert Schedule.of(config.optim, config.batch_size, 300, epoch_steps=600).peak == pytest.approx(1.6)


@pytest.mark.parametrize(
    ("recipe", "peak", "end", "views"),
    [
        ("r50", 1.6, 1.6e-3, [224] * 2),
        ("r50_paper", 0.8, 0.002, [224] * 2),
        ("r50_node", 0.6, 0.6e-3, [224] * 2),
        ("convnext_s", 1.125e-3, 1.125e-6, [224] * 2 + [96] * 6),
        ("convnext_s_paper", 1e-3, 1e-5, [224] * 2 + [96] * 6),
        ("convnext_b", 1.125e-3, 1.125e-6, [224] * 2 + [96] * 6),
        ("convnext_b_paper", 1e-3, 1e-5, [224] * 2 + [96] * 6),
        ("convnext_xl", 1.125e-3, 1.125e-6, [224] * 2 + [96] * 6),
    ],
)
def test_recipes_reach_the_paper_s_rates_and_views(recipe: str, peak: float, end: float, views: list[int]) -> None:
    config = parse_config(["--config", str(CONFIGS / f"{recipe}.yaml")])
    schedule = Schedule.of(config.optim, config.batch_size, config.epochs, epoch_steps=10)
    assert (schedule.peak, schedule.end) == pytest.approx((peak, end))
    assert [view.size for view in view_recipes(config.views)] == views


def test_the_command_line_wins_over_the_recipe() -> None:
    config = parse_config(["--config", str(CONFIGS / "resnet18_96px.yaml"), "--loss.alpha", "0.9", "--epochs", "3"])
    assert (config.loss.alpha, config.epochs, config.views.large_size) == (0.9, 3, 96)


@pytest.mark.parametrize("place", [0, 2, 4])
def test_the_configuration_is_printed_whole_wherever_it_is_asked_for(place: int, capsys: pytest.CaptureFixture) -> None:
    arguments = ["--config", str(CONFIGS / "resnet18_96px.yaml"), "--loss.alpha", "0.9"]
    with pytest.raises(SystemExit):
        parse_config([*arguments[:place], "--print_config", *arguments[place:]])
    printed = yaml.safe_load(capsys.readouterr().out)
    assert (printed["loss"]["alpha"], printed["views"]["large_size"], printed["epochs"]) == (0.9, 96, 20)
    assert set(printed) == {field.name for field in fields(RunConfig)}


def test_a_saved_configuration_reads_back_the_same(tmp_path: Path) -> None:
    config = parse_config(["--config", str(CONFIGS / "convnext_s.yaml"), "--data.workers", "3"])
    (tmp_path / "config.yaml").write_text(dump_config(config))
    assert asdict(load_config(tmp_path / "config.yaml")) == asdict(config)


NUMBERS = ("1e-3", "1e5", "1.e5", "12e03", "0x1f", "1_000", "1:30", ".inf", "nan", "2001-01-01", ".5", "-1")
MARKED = (
    "null",
    "true",
    "a: b",
    "#x",
    "- x",
    " space ",
    "[1]",
    "{a}",
    "a\nb",
    "a\x85b",
    "\u2028",
    "\ufeffx",
    "'q\"",
    "é😀",
)


@pytest.mark.parametrize("text", [*NUMBERS, *MARKED])
def test_text_that_yaml_would_read_otherwise_is_kept(tmp_path: Path, text: str) -> None:
    """Folders of sweeps are named by learning rates, and of commits by short hashes, which may look like 12e03."""
    config = parse_config([f"--run_dir=x/../{text}", f"--data.path={text}", f"--data.labels={text}"])
    assert config.data.path == text
    (tmp_path / "config.yaml").write_text(dump_config(config))
    assert load_config(tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("loss:\n  location:\n  feature: true\n", "loss.location has no value: give it one, or leave it out for True"),
        ("epochs:\nseed: 1\n", "epochs has no value"),
        ("train: {device: null}", "train.device has no value"),
        ("data: {range: null}", "data.range has no value"),
        ("model: []", "model is [], but must hold settings, such as model.backbone"),
        ("views: 5", "views is 5"),
        ("optim: &a [*a]", "no text of settings"),
        ("# nothing\n", "no setting with a value"),
        ("", "no setting with a value"),
        ("run_dir: ''", "run_dir is empty"),
        ("model: {weights: ''}", "model.weights is empty"),
    ],
)
def test_settings_without_a_value_are_refused(tmp_path: Path, recipe: str, words: str) -> None:
    (tmp_path / "r.yaml").write_text(recipe)
    with pytest.raises(UserError) as error:
        parse_config(["--config", str(tmp_path / "r.yaml")])
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_section_without_settings_has_the_defaults(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("epochs: 70\noptim:\n#  name: adamw\nloss:\ntrain: null\n")
    config = parse_config(["--config", str(tmp_path / "r.yaml")])
    assert config == RunConfig(epochs=70)
    config = parse_config(["--config", str(tmp_path / "r.yaml"), "--optim.warmup_epochs", "1", "--loss.alpha", "0.5"])
    assert (config.optim, config.loss) == (OptimConfig(warmup_epochs=1), LossConfig(alpha=0.5))


def test_a_name_that_no_file_of_settings_can_hold_is_refused() -> None:
    with pytest.raises(UserError, match=r"data.path is 'a\\udcff', which is no UTF-8"):
        parse_config(["--data.path", "a\udcff"])


def test_the_home_folder_is_known_behind_an_equals_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/x")
    config = parse_config(["--run_dir=~/runs/1", "--data.path=~/a~b"])
    assert (config.run_dir, config.data.path) == ("/home/x/runs/1", "/home/x/a~b")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--epocs", "3"], "--epocs"),
        (["--loss.alpha", "2"], "loss.alpha is 2.0"),
        (["--seed", "-1"], "the seed is -1"),
        (["--seed", str(2**63)], "the seed is 9223372036854775808"),
        (["--views.large_size", "1"], "views of 1 pixels show too little of an image: give 16 or more"),
        (["--views.recipe", "multicrop", "--views.small_size", "8"], "views of 8 pixels"),
        (["--model.output_stride", "33"], "model.output_stride is 33; give 8, 16 or 32"),
        (["--model.drop_path", "1.5"], "model.drop_path is 1.5"),
        (["--train.clip_norm", "-1"], "train.clip_norm is -1.0"),
        (["--train.chunk", "1"], "train.chunk is 1; give at least 2"),
        (
            ["--train.cuda_graphs", "true", "--train.checkpoint_activations", "true"],
            "train.cuda_graphs cannot record",
        ),
        (
            ["--train.compile", "true", "--train.checkpoint_activations", "true"],
            "chooses itself what is computed again",
        ),
        (["--train.cuda_graphs", "true", "--train.chunk", "8"], "train.cuda_graphs cannot record"),
        (
            ["--train.compile", "true", "--train.chunk", "8", "--model.backbone", "convnext_small"],
            "may not draw the same drop path again",
        ),
        (["--loss.alpha", "much"], "loss.alpha"),
        (["--data.workers", "-1"], "data.workers is -1; give 0 or more, or null for one a core"),
        (["--epochs", "0"], "epochs must be at least 1"),
        (["--batch_size", "0"], "batch_size is 0"),
        (["--config", "none.yaml"], "none.yaml"),
        (["--model.expander", "0"], "at least 1"),
        (["--views.large_size", "0"], "at least 1 pixel"),
        (["--train.precision", "fp8"], "train.precision"),
        (["--epochs", "3", "--optim.warmup_epochs", "4"], "the warm-up of 4 epochs is longer than the run of 3"),
    ],
)
def test_wrong_options_are_one_sentence(arguments: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        parse_config(arguments)
    assert "\n" not in str(caught.value)


def test_a_recipe_that_is_no_text_is_said(tmp_path: Path) -> None:
    (tmp_path / "picture.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(UserError, match="is no text"):
        parse_config(["--config", str(tmp_path / "picture.jpg")])


def test_an_unknown_key_in_a_recipe_fails(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("loss:\n  alfa: 0.5\n")
    with pytest.raises(UserError, match="alfa"):
        parse_config(["--config", str(tmp_path / "recipe.yaml")])


ABLATIONS = {
    "alpha_0.5": {"alpha": 0.5},
    "alpha_0.9": {"alpha": 0.9},
    "feature_matches": {"location": False},
    "gamma_10_2": {"gamma_large": 10, "gamma_small": 2},
    "gamma_49_9": {"gamma_large": 49, "gamma_small": 9},
    "local_i": {"local_variance": 0.0, "local_covariance": 0.0},
    "local_vi": {"local_covariance": 0.0},
    "location_matches": {"feature": False},
    "official": {"preset": "official"},
    "two_views": {},
    "two_views_vicreg": {"alpha": 1.0},
    "vicreg": {"alpha": 1.0},
    "r50_simclr": {"alpha": 1.0, "criterion": "simclr"},
    "r50_simclr_l": {"criterion": "simclr"},
    "r50_vicreg": {"alpha": 1.0},
}


def test_every_ablation_has_a_recipe() -> None:
    names = {path.stem for path in (CONFIGS / "ablations").glob("*.yaml")}
    assert names == {"base", *ABLATIONS}
    told = (CONFIGS / "ablations" / "README.md").read_text()
    assert all(f"`{name}.yaml`" in told for name in names)


@pytest.mark.parametrize("name", ABLATIONS)
def test_an_ablation_changes_what_its_table_says(name: str) -> None:
    paths = [
        CONFIGS / "ablations" / f"{part}.yaml" for part in ("base", name) if not name.startswith("r50") or part == name
    ]
    config = parse_config([word for path in paths for word in ("--config", str(path))])
    assert config.loss == LossConfig(**ABLATIONS[name])  # type: ignore[arg-type]
    if name.startswith("r50"):
        assert (config.model.backbone, config.epochs, config.views.recipe) == ("resnet50", 300, "two")
    else:
        assert (config.model.backbone, config.epochs) == ("convnext_small", 100)
        assert config.views.recipe == ("two" if name.startswith("two") else "multicrop")
    assert config.run_dir == f"runs/ablations/{name}"


@pytest.mark.parametrize("option", ["--batch=4", "--data.worker=3", "--model.back=resnet18", "--optim.lar=loop"])
def test_options_cannot_be_cut_short(option: str) -> None:
    with pytest.raises(UserError, match=option.split("=")[0]):
        parse_config([option])
