"""The presets of the training settings and what they switch."""

import pytest

from garbage_synth.config.base import dump_config, load_config, parse_yaml
from garbage_synth.config.gan import PRESETS, GanConfig, LabelConfig
from garbage_synth.errors import ConfigError


def test_paper_switches_off_every_label_term_and_nothing_else() -> None:
    paper = load_config(GanConfig, None, ["preset=paper"])
    weights = ("cycle_item", "cycle_edge", "structure", "new_edges", "segmenter", "flip")
    assert [getattr(paper.labels, name) for name in weights] == [0.0] * len(weights)
    assert all(getattr(LabelConfig(), name) > 0 for name in weights)
    assert not paper.labels.needs_masks
    assert paper.labels.real_candidates == 1
    assert paper.model_copy(update={"preset": "labels", "labels": LabelConfig()}) == GanConfig()


def test_labels_is_the_default_and_wants_masks() -> None:
    plain = GanConfig()
    assert plain == GanConfig(preset="labels")
    assert plain.labels.needs_masks
    assert plain.labels.real_candidates == plain.labels.match_candidates == 6


@pytest.mark.parametrize("name", ["cycle_item", "cycle_edge", "structure", "new_edges", "segmenter"])
def test_any_term_alone_wants_masks(name: str) -> None:
    config = load_config(GanConfig, None, ["preset=paper", f"labels.{name}=0.5"])
    assert config.labels.needs_masks
    assert getattr(config.labels, name) == 0.5


def test_flips_and_matching_need_no_masks() -> None:
    config = load_config(GanConfig, None, ["preset=paper", "labels.flip=1", "labels.match_occupancy=true"])
    assert not config.labels.needs_masks
    assert config.labels.real_candidates == 6


def test_a_saved_preset_loads_again_and_another_is_refused_by_name() -> None:
    config = load_config(GanConfig, None, ["preset=paper", "labels.flip=0.5"])
    assert load_config(GanConfig, None, tree=parse_yaml(dump_config(config), "saved")) == config
    assert set(PRESETS) == {"labels", "paper"}
    with pytest.raises(ConfigError, match="preset.*'labels' or 'paper'"):
        load_config(GanConfig, None, ["preset=plain"])


def test_overrides_leave_the_preset_as_it_was() -> None:
    before = load_config(GanConfig, None, ["preset=paper"])
    load_config(GanConfig, None, ["preset=paper", "labels.flip=0.5"])
    assert load_config(GanConfig, None, ["preset=paper"]) == before
