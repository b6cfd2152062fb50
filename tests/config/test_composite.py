"""The presets of the composite settings."""

from pathlib import Path

import pytest

from garbage_synth.config.base import dump_config, load_config, merged, parse_yaml
from garbage_synth.config.composite import CameraConfig, CompositeConfig
from garbage_synth.config.presets import PRESETS
from garbage_synth.errors import ConfigError


def test_presets_are_valid_and_only_default_changes_nothing() -> None:
    plain = CompositeConfig()
    for name in PRESETS:
        config = load_config(CompositeConfig, None, [f"preset={name}"])
        assert config.preset == name
        assert (config.model_copy(update={"preset": "default"}) == plain) == (name == "default")


def test_what_the_user_gives_lies_over_the_preset() -> None:
    config = load_config(CompositeConfig, None, ["light.match_colour=0.3", "preset=fast"])
    assert config.light.match_colour == 0.3
    assert config.light.follow_field == 0.0
    assert config.light.match_lightness == CompositeConfig().light.match_lightness
    assert config.deform.probability == 0.0


def test_a_saved_preset_loads_again() -> None:
    config = load_config(CompositeConfig, None, ["preset=naive", "camera.noise=[1, 2]"])
    assert load_config(CompositeConfig, None, tree=parse_yaml(dump_config(config), "saved")) == config


@pytest.mark.parametrize("value", ["quick", "[fast]", "3"])
def test_unknown_preset_is_refused_by_name(value: str) -> None:
    with pytest.raises(ConfigError, match="preset.*'default', 'fast' or 'naive'"):
        load_config(CompositeConfig, None, [f"preset={value}"])


def test_merged_leaves_its_arguments_alone() -> None:
    below, above = {"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 9}, "d": [2], "e": {"f": 3}}
    assert merged(below, above) == {"a": {"b": 9, "c": 2}, "d": [2], "e": {"f": 3}}
    assert below == {"a": {"b": 1, "c": 2}, "d": [1]}


def test_a_preset_on_the_command_line_lies_over_a_saved_config(tmp_path: Path) -> None:
    saved = tmp_path / "config.yaml"
    saved.write_text(dump_config(CompositeConfig()), encoding="utf-8")
    config = load_config(CompositeConfig, saved, ["camera.noise=[1, 2]", "preset=fast"])
    assert config == load_config(CompositeConfig, None, ["preset=fast", "camera.noise=[1, 2]"])


def test_settings_as_objects_lie_over_the_preset_too() -> None:
    config = CompositeConfig(preset="fast", camera=CameraConfig(noise=(0.0, 0.0)))
    assert config.camera.noise == (0.0, 0.0)
    assert config.camera.motion_probability == 0.0
