from pathlib import Path

import pytest
import yaml
from pydantic import Field, ValidationError

from garbage_synth.config.base import StageConfig, dump_config, load_config, parse_yaml
from garbage_synth.errors import ConfigError


class Shadow(StageConfig):
    blur_px: float = Field(default=6.0, ge=0, description="radius")
    strength: tuple[float, float] = (0.2, 0.5)


class Scene(StageConfig):
    items: int = Field(default=3, ge=1, le=9, description="items")
    rate: float = 0.1
    name: str | None = None
    shadow: Shadow | None = Shadow()
    classes: dict[str, int] = Field(default_factory=dict)


def write(folder: Path, text: str) -> Path:
    path = folder / "scene.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_anything_the_defaults_hold() -> None:
    assert load_config(Scene, None) == Scene()


def test_an_override_wins_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    path = write(tmp_path, "items: 5\nrate: 1e-3\nshadow: {blur_px: 2}\n")
    config = load_config(Scene, path, ["items=7", "shadow.strength=[0.1, 0.3]", "classes.can=4", "name=a=b"])
    assert config == Scene(
        items=7, rate=0.001, name="a=b", shadow=Shadow(blur_px=2, strength=(0.1, 0.3)), classes={"can": 4}
    )


def test_given_values_stand_in_for_the_file_and_are_not_changed() -> None:
    tree = {"shadow": {"blur_px": 1}}
    assert load_config(Scene, None, ["shadow.blur_px=2"], tree=tree).shadow == Shadow(blur_px=2)
    assert tree == {"shadow": {"blur_px": 1}}


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load_config(Scene, write(tmp_path, "# nothing yet\n")) == Scene()


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("itms=3", r"unknown config key itms; did you mean items\?"),
        ("shadow.blur=3", r"unknown config key shadow\.blur; did you mean shadow\.blur_px\?"),
        ("blur_px=3", r"unknown config key blur_px; did you mean shadow\.blur_px\?"),
        ("zzzzzzzz=3", r"unknown config key zzzzzzzz$"),
        ("items=12", r"config key items: .*less than or equal to 9, got 12"),
        ("items=many", r"config key items: .*integer.*got 'many'"),
        ("shadow.blur_px=-1", r"config key shadow\.blur_px: .*got -1"),
        ("items", r"'items' is not of the form key=value"),
        ("=3", r"is not of the form key=value"),
        ("items=[", r"--set 'items=\[' line 1: not YAML"),
        ("items.x=3", r"config key items"),
    ],
)
def test_a_wrong_override_is_one_line_that_names_it(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        load_config(Scene, None, [override])
    assert "\n" not in str(caught.value)


def test_an_override_below_a_value_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="name holds a value, not keys"):
        load_config(Scene, write(tmp_path, "name: x"), ["name.y=1"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("itms: 3", r"unknown config key itms in .*scene\.yaml; did you mean items"),
        ("- 1", "must hold key: value lines, not a list"),
        ("a: [", r"config .*scene\.yaml line \d+: not YAML"),
        ("items: 1\nitems: 2", r"line 1: .*'items' is given twice|'items' is given twice"),
        ("a: !!python/object/apply:os.system [ls]", "not YAML"),
    ],
)
def test_a_wrong_file_is_one_line_that_names_it(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        load_config(Scene, write(tmp_path, text))
    assert "scene.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_config(Scene, tmp_path / "gone.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"b\.yaml cannot be read"):
        load_config(Scene, tmp_path / "b.yaml")


def test_a_dumped_config_is_read_back(tmp_path: Path) -> None:
    config = Scene(items=4, rate=1e-05, name="null", shadow=None, classes={"b": 1, "a": 2})
    text = dump_config(config)
    assert load_config(Scene, write(tmp_path, text)) == config
    assert list(yaml.safe_load(text)) == sorted(yaml.safe_load(text))


def test_a_config_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Scene().items = 5  # type: ignore[misc]


def test_numbers_with_an_exponent_alone_are_numbers() -> None:
    assert parse_yaml("[1e-4, 2E3, 1.5e+2, 1e, e1]", "x") == [1e-4, 2000.0, 150.0, "1e", "e1"]


def test_yaml_that_is_no_date_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"config a\.yaml"):
        parse_yaml("when: 2021-02-30", "config a.yaml")
