from pathlib import Path

import pytest

from garbage_synth import api
from garbage_synth.config.frames import FramesConfig
from garbage_synth.stages.arguments import parse_names, parse_pair, parse_words


def test_every_public_name_is_there_and_callable() -> None:
    assert api.__all__ == sorted(api.__all__)
    assert dir(api) == api.__all__
    for name in api.__all__:
        assert callable(getattr(api, name)), name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'frobnicate'"):
        api.frobnicate  # noqa: B018


def test_functions_refuse_what_the_commands_refuse(tmp_path: Path) -> None:
    with pytest.raises(api.GarbageSynthError, match="does not exist"):
        api.frames(tmp_path / "gone", tmp_path / "out", config=FramesConfig())


def test_pairs_and_words() -> None:
    assert parse_pair("640x480", "size", "WxH") == (640, 480)
    assert parse_pair(" 640 X 480 ", "size", "WxH") == (640, 480)
    assert parse_pair("3..12", "items", "MIN..MAX") == (3, 12)
    assert parse_pair("5", "items", "MIN..MAX") == (5, 5)
    assert parse_words(" coco, yolo,") == ("coco", "yolo")
    assert parse_words("") == ()


def test_names_of_others() -> None:
    assert parse_names(" a = b, c d=b", "--map") == {"a": "b", "c d": "b"}
    for text in ("a", "a=", "=b", "a=b,a=c"):
        with pytest.raises(api.GarbageSynthError, match="--map .* is not of the form NAME=NAME"):
            parse_names(text, "--map")
