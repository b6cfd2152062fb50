"""docs/settings.md says what the code says, and every setting is described."""

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_settings_page_is_up_to_date() -> None:
    made = runpy.run_path(str(DOCS / "settings.py"))["document"]()
    assert (DOCS / "settings.md").read_text(encoding="utf-8") == made, "run: python docs/settings.py"
    assert "|  |" not in made
