"""Writes docs/settings.md, every setting of every command with its default, from the code: python docs/settings.py."""

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from garbage_synth.config.base import StageConfig
from garbage_synth.config.composite import CompositeConfig
from garbage_synth.config.detector import DetectorConfig
from garbage_synth.config.fidelity import FidelityConfig
from garbage_synth.config.frames import FramesConfig
from garbage_synth.config.gan import GanConfig
from garbage_synth.config.refine import RefineConfig
from garbage_synth.config.segment import SegmentConfig

OUT = Path(__file__).with_name("settings.md")
COMMANDS: dict[str, type[StageConfig]] = {
    "segment": SegmentConfig,
    "composite": CompositeConfig,
    "train-gan": GanConfig,
    "train-detector": DetectorConfig,
    "refine": RefineConfig,
    "check-labels": FidelityConfig,
    "frames": FramesConfig,
}
HEAD = """# Settings

What `--set key=value` and `--config FILE.yaml` take, by command, with defaults. Made by `python docs/settings.py`.

```bash
garbage-synth composite ... --set camera.noise=[0,2] --set 'deform.class_strength={glass_bottle: 0, paper: 1.3}'
```

```yaml
# the same as a file, for --config; in a pipeline these lines stand under `config:`
camera: {noise: [0, 2]}
deform:
  class_strength: {glass_bottle: 0, paper: 1.3}
```
"""


def rows(model: BaseModel, prefix: str = "") -> Iterator[str]:
    """A table row for every setting."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from rows(value, f"{prefix}{name}.")
            continue
        default = json.dumps(model.model_dump(mode="json")[name], ensure_ascii=False)
        text = (field.description or "").replace("|", "\\|")
        yield f"| `{prefix}{name}` | `{default}` | {text} |"


def document() -> str:
    """The whole page."""
    parts = [HEAD]
    for command, config in COMMANDS.items():
        parts.append(
            "\n".join([f"## {command}", "", "| setting | default | what it does |", "|---|---|---|", *rows(config())])
        )
    return "\n".join(parts[:1]) + "\n" + "\n\n".join(parts[1:]) + "\n"


if __name__ == "__main__":
    OUT.write_text(document(), encoding="utf-8")
