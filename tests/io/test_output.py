import json
import os
from pathlib import Path
from typing import Any

import pytest

from garbage_synth.core.progress import NullProgress
from garbage_synth.errors import InputError, OutputExistsError
from garbage_synth.io.output import OutputFolder, differences, fingerprint, open_output, read_manifest


def begin(out: Path, **changes: Any) -> OutputFolder:
    arguments: dict[str, Any] = {
        "stage": "composite",
        "identity": {"seed": 0, "config": {"a": 1}},
        "inputs": [],
        "overwrite": False,
        "resume": False,
    }
    return open_output(out, **(arguments | changes))


def begun(out: Path) -> Path:
    """A folder with work in it that was interrupted."""
    begin(out)
    (out / "images").mkdir()
    (out / "images" / "a.jpg").write_bytes(b"work")
    return out


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("flag", ["none", "overwrite", "resume"])
def test_a_missing_or_empty_folder_starts(tmp_path: Path, there: bool, flag: str) -> None:
    out = tmp_path / "a" / "out"
    if there:
        out.mkdir(parents=True)
    output = begin(out, **({} if flag == "none" else {flag: True}))
    assert (output.resuming, output.finished) == (False, False)
    manifest = read_manifest(out)
    assert manifest is not None
    assert (manifest["stage"], manifest["status"]) == ("composite", "begun")


def test_going_on_with_the_work_of_another_version_is_said_once(tmp_path: Path) -> None:
    said: list[str] = []

    class Listener(NullProgress):
        def message(self, text: str) -> None:
            said.append(text)

    out = begun(tmp_path / "out")
    begin(out, resume=True, progress=Listener())
    assert said == []
    manifest = read_manifest(out)
    (out / "garbage-synth.json").write_text(json.dumps({**(manifest or {}), "version": "0.0.7"}))
    assert begin(out, resume=True, progress=Listener()).resuming
    (line,) = said
    assert "was begun by garbage-synth 0.0.7, this is" in line
    begin(out, resume=True, progress=Listener()).finish({})
    (out / "garbage-synth.json").write_text(json.dumps({**(read_manifest(out) or {}), "version": "0.0.7"}))
    assert begin(out, resume=True, progress=Listener()).finished
    assert len(said) == 1


def test_finish_records_status_and_numbers(tmp_path: Path) -> None:
    begin(tmp_path / "out").finish({"images": 3})
    manifest = read_manifest(tmp_path / "out")
    assert manifest is not None
    assert (manifest["status"], manifest["numbers"]) == ("finished", {"images": 3})


def test_a_folder_of_others_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    for flags in ({}, {"overwrite": True}, {"resume": True}):
        with pytest.raises(OutputExistsError, match="not made by garbage-synth"):
            begin(tmp_path, **flags)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("text", ["", "[]", '{"tool": "other"}', "\xff"])
def test_another_programs_manifest_does_not_make_a_folder_ours(tmp_path: Path, text: str) -> None:
    (tmp_path / "garbage-synth.json").write_text(text, encoding="latin-1")
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(OutputExistsError):
        begin(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").exists()


def test_our_folder_is_refused_without_a_flag_and_the_message_names_both(tmp_path: Path) -> None:
    with pytest.raises(OutputExistsError, match=r"begun composite run.*--resume.*--overwrite"):
        begin(begun(tmp_path / "out"))


def test_overwrite_empties_our_folder_of_any_stage_but_follows_no_link(tmp_path: Path) -> None:
    out = begun(tmp_path / "out")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "keep").write_text("")
    (out / "link").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    output = begin(out, stage="segment", overwrite=True)
    assert not output.resuming
    assert [path.name for path in out.iterdir()] == ["garbage-synth.json"]
    assert (tmp_path / "elsewhere" / "keep").exists()


def test_resume_continues_the_same_work_and_finds_finished_work_finished(tmp_path: Path) -> None:
    out = begun(tmp_path / "out")
    output = begin(out, resume=True)
    assert (output.resuming, output.finished) == (True, False)
    output.finish({"images": 1})
    again = begin(out, resume=True)
    assert (again.resuming, again.finished, again.numbers) == (False, True, {"images": 1})
    again.begin()
    assert begin(out, resume=True).resuming


def test_resume_starts_where_only_the_manifest_was_written(tmp_path: Path) -> None:
    begin(tmp_path / "out")
    (tmp_path / "out" / ".1234.tmp").write_text("cut off")
    output = begin(tmp_path / "out", identity={"seed": 7}, resume=True)
    assert (output.resuming, output.finished) == (False, False)
    manifest = read_manifest(tmp_path / "out")
    assert manifest is not None
    assert manifest["identity"] == {"seed": 7}


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ({"seed": 1, "config": {"a": 1}}, "with seed = 0, now it is 1"),
        ({"seed": 0, "config": {"a": 2}}, r"with config\.a = 1, now it is 2"),
        ({"seed": 0, "config": {"a": 1}, "more": True}, "with more = None, now it is True"),
        ({"config": {"a": 1}}, "with seed = 0, now it is None"),
    ],
)
def test_resume_with_another_identity_names_what_differs(tmp_path: Path, identity: dict[str, Any], said: str) -> None:
    out = begun(tmp_path / "out")
    with pytest.raises(InputError, match=said):
        begin(out, identity=identity, resume=True)
    assert (out / "images" / "a.jpg").exists()


def test_resume_of_another_stage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds a composite run"):
        begin(begun(tmp_path / "out"), stage="refine", resume=True)


def test_identity_is_compared_as_json(tmp_path: Path) -> None:
    out = tmp_path / "out"
    begin(out, identity={"size": (3, 4)})
    (out / "x").write_text("")
    assert begin(out, identity={"size": [3, 4]}, resume=True).resuming


def test_overwrite_and_resume_contradict(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="contradict"):
        begin(tmp_path / "out", overwrite=True, resume=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("out", "source", "said"),
    [
        ("data", "data", "same folder"),
        ("link", "data", "same folder"),
        ("data/sub/..", "data", "same folder"),
        ("data/out", "data", "inside the input"),
        ("data", "data/photos", "lies inside the output"),
        ("data", "data/boxes.json", "lies inside the output"),
    ],
)
def test_overlap_of_input_and_output_is_refused_even_when_overwriting(
    tmp_path: Path, out: str, source: str, said: str
) -> None:
    begin(tmp_path / "data")
    (tmp_path / "data" / "photos").mkdir()
    (tmp_path / "data" / "sub").mkdir()
    (tmp_path / "data" / "boxes.json").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "data", target_is_directory=True)
    with pytest.raises(InputError, match=said):
        begin(tmp_path / out, inputs=[tmp_path / source], overwrite=True)
    assert (tmp_path / "data" / "boxes.json").exists()


def test_neighbours_with_a_common_prefix_are_no_overlap(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert begin(tmp_path / "data2", inputs=[tmp_path / "data"]).path == tmp_path / "data2"


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputExistsError, match="is a file"):
        begin(tmp_path / "out", overwrite=True)
    with pytest.raises(InputError, match="cannot be written"):
        begin(tmp_path / "out" / "deeper")


def test_a_place_without_permission_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **options: object) -> None:  # the tests may run as root, whom no mode stops
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match=r"out cannot be written: Permission denied"):
        begin(tmp_path / "locked" / "out")


def test_dry_run_checks_everything_and_writes_nothing(tmp_path: Path) -> None:
    begin(tmp_path / "new", dry_run=True)
    assert not (tmp_path / "new").exists()
    out = begun(tmp_path / "out")
    before = (out / "garbage-synth.json").read_bytes()
    begin(out, overwrite=True, dry_run=True)
    assert begin(out, resume=True, dry_run=True).resuming
    assert (out / "garbage-synth.json").read_bytes() == before
    assert (out / "images" / "a.jpg").exists()
    with pytest.raises(OutputExistsError):
        begin(out, dry_run=True)


def test_an_interrupted_overwrite_leaves_a_folder_that_is_still_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = begun(tmp_path / "out")

    def interrupt(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("garbage_synth.io.output.shutil.rmtree", interrupt)
        with pytest.raises(KeyboardInterrupt):
            begin(out, overwrite=True)
    assert not begin(out, overwrite=True).resuming


def test_the_manifest_holds_no_clock_and_no_place(tmp_path: Path) -> None:
    begin(tmp_path / "a").finish({})
    begin(tmp_path / "b").finish({})
    first, second = ((tmp_path / name / "garbage-synth.json").read_bytes() for name in "ab")
    assert first == second
    assert set(json.loads(first)) == {"identity", "numbers", "stage", "status", "tool", "version"}


def test_fingerprint_follows_names_and_contents_not_places_or_dates(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder / "sub").mkdir(parents=True)
        (tmp_path / folder / "sub" / "x").write_text("1")
        (tmp_path / folder / "y").write_text("2")
    os.utime(tmp_path / "b" / "y", (0, 0))
    same = fingerprint([tmp_path / "a"])
    assert fingerprint([tmp_path / "b"]) == same
    (tmp_path / "b" / "garbage-synth.json").write_text("timings")
    (tmp_path / "b" / ".x.tmp").write_text("")
    assert fingerprint([tmp_path / "b"]) == same
    (tmp_path / "b" / "config.yaml").write_text("a setting that a later version has more")
    assert fingerprint([tmp_path / "b"]) == same  # an output of ours
    (tmp_path / "a" / "config.yaml").write_text("a user's file")
    assert fingerprint([tmp_path / "a"]) != same
    (tmp_path / "a" / "config.yaml").unlink()
    (tmp_path / "b" / "y").write_text("3")
    assert fingerprint([tmp_path / "b"]) != same
    (tmp_path / "a" / "y").rename(tmp_path / "a" / "z")
    assert fingerprint([tmp_path / "a"]) != same


def test_fingerprint_of_files_and_of_their_order(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("2")
    one, two, gone = tmp_path / "a", tmp_path / "b", tmp_path / "gone"
    assert fingerprint([one, two]) != fingerprint([two, one])
    assert fingerprint([gone]) != fingerprint([one])
    assert fingerprint([]) != fingerprint([gone])


def test_overwriting_that_is_killed_leaves_no_finished_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    open_output(out, stage="s", identity={"a": 1}, inputs=[], overwrite=False, resume=False).finish({"made": 3})
    (out / "folder").mkdir()

    def killed(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        open_output(out, stage="s", identity={"a": 1}, inputs=[], overwrite=True, resume=False)
    again = open_output(out, stage="s", identity={"a": 1}, inputs=[], overwrite=False, resume=True)
    assert not again.finished
    assert again.resuming


def test_setting_without_a_value_is_no_difference() -> None:
    before = {"config": {"a": 1, "deep": {"b": None}}, "seed": 0}
    assert differences(before, {"config": {"a": 1, "deep": {"b": None, "c": None}, "d": None}, "seed": 0}) == []
    assert differences(before, {"config": {"a": 2, "deep": {"c": 3}}, "seed": 0}) == [
        ("config.a", 1, 2),
        ("config.deep.c", None, 3),
    ]
