from pathlib import Path
from typing import Any

import pytest
import yaml

from garbage_synth.errors import ConfigError
from garbage_synth.stages.recipe import load_recipe


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
