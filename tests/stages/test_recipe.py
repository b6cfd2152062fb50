from pathlib import Path
from typing import Any

import pytest
import yaml

from garbage_synth.errors import ConfigError
from garbage_synth.io.dataset import read_dataset
from garbage_synth.stages.pipeline import run_pipeline
from garbage_synth.stages.recipe import load_recipe
from tests.makers import drawn_dataset, write_tree


@pytest.mark.parametrize(
    ("key", "value"),
    [("count", "ten"), ("val_fraction", "x"), ("seed", 1.5), ("formats", 5), ("seed", True)],
)
def test_a_value_of_another_type_is_refused_before_anything_runs(tmp_path: Path, key: str, value: Any) -> None:
    for name in ("crops", "belts"):
        (tmp_path / name).mkdir()
    stage = {"name": "d", "stage": "composite", "crops": "crops", "backgrounds": "belts", "count": 3, key: value}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({"out": "out", "stages": [stage]}))
    with pytest.raises(ConfigError, match=key):
        load_recipe(tmp_path / "p.yaml", None)


def test_datasets_are_merged_chosen_from_divided_and_exported_in_a_pipeline(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        write_tree(tmp_path / name, drawn_dataset({"train": [(48, 36)] * 4}, seed=seed))
    stages = [
        {"name": "all", "stage": "merge", "datasets": ["a", "b"], "images": "hardlink"},
        {"name": "some", "stage": "subset", "dataset": "${stages.all.out}", "classes": "can, bottle", "min_visible": 0},
        {"name": "parts", "stage": "split", "dataset": "${stages.some.out}", "val_fraction": 0.25},
        {"name": "wds", "stage": "export", "dataset": "${stages.parts.out}", "format": "webdataset", "shard-size": 4},
        {"name": "check", "stage": "validate", "dataset": "${stages.parts.out}"},
    ]
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({"out": "out", "stages": stages}))
    run_pipeline(tmp_path / "p.yaml")
    parts = read_dataset(tmp_path / "out/parts")
    assert parts.categories == {1: "can", 2: "bottle"}
    assert {name: len(part.images) for name, part in parts.splits.items()} == {"train": 6, "val": 2}
    shards = ["train-000000.tar", "train-000001.tar", "val-000000.tar"]
    assert sorted(path.name for path in (tmp_path / "out/wds").glob("*.tar")) == shards
    again = run_pipeline(tmp_path / "p.yaml").numbers["stages"]
    assert all(step.get("unchanged") for name, step in again.items() if name != "check")
