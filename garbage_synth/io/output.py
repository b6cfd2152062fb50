"""Output folders: what may be begun, continued or replaced, decided by the manifest that lies in them alone."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from garbage_synth import __version__
from garbage_synth.core.progress import Progress
from garbage_synth.errors import InputError, OutputExistsError
from garbage_synth.io.atomic import write_json
from garbage_synth.io.folders import files_under

__all__ = [
    "MANIFEST_FILE",
    "SETTINGS_FILE",
    "OutputFolder",
    "differences",
    "file_hash",
    "fingerprint",
    "open_output",
    "read_manifest",
]

MANIFEST_FILE = "garbage-synth.json"
SETTINGS_FILE = "config.yaml"
"""All settings that an output was made with, for its reader."""


@dataclass(frozen=True, slots=True)
class OutputFolder:
    """An output folder that may be written.

    resuming: work was begun here before with the same identity and is not finished: keep what is whole.
    finished: the work is done already, nothing is to be written; numbers are those it finished with.
    """

    path: Path
    stage: str
    identity: Mapping[str, Any]
    resuming: bool = False
    finished: bool = False
    numbers: Mapping[str, Any] = field(default_factory=dict)

    def finish(self, numbers: Mapping[str, Any]) -> None:
        """Record that the work is done, with the numbers of its summary (JSON-ready)."""
        self._write("finished", numbers)

    def begin(self) -> None:
        """Record that work goes on; open_output has done so, except where the folder was finished."""
        self._write("begun", {})

    def _write(self, status: str, numbers: Mapping[str, Any]) -> None:
        manifest = {
            "identity": dict(self.identity),
            "numbers": dict(numbers),
            "stage": self.stage,
            "status": status,
            "tool": "garbage-synth",
            "version": __version__,
        }
        write_json(self.path / MANIFEST_FILE, manifest)


def open_output(
    out: Path,
    *,
    stage: str,
    identity: Mapping[str, Any],
    inputs: Sequence[Path],
    beside: Iterable[Path] = (),
    overwrite: bool,
    resume: bool,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> OutputFolder:
    """The output folder of a stage, made and marked as begun; called last, when all input is known to be good.

    identity: JSON-ready; everything that decides the output (settings, `fingerprint` of the inputs), without the
    number of workers, devices or absolute paths. inputs: the files and folders that are read, which may neither be
    nor lie in nor hold the output. beside: folders that are read and may hold the output, as it holds nothing that
    could be taken for one of their files, but may neither be nor lie in it. dry_run: check everything, write nothing.
    progress: is warned where an unfinished folder of another version of this program is continued.

    Without overwrite and resume, the folder must be missing or empty. overwrite empties a folder that carries our
    manifest. resume starts in a missing, empty or just-begun folder, continues one of the same stage and identity, and
    finds a finished one finished.

    Raises InputError for contradicting flags, an input in the output or the reverse, and another identity on resume
    (naming the first key that differs); OutputExistsError where something would be lost.
    """
    if overwrite and resume:
        raise InputError("--overwrite and --resume contradict each other; give one of them")
    _refuse_overlap(out, inputs, beside)
    plain_identity: dict[str, Any] = json.loads(json.dumps(dict(identity), allow_nan=False))
    folder = OutputFolder(out, stage, plain_identity)
    if out.exists() and not out.is_dir():
        raise OutputExistsError(f"output {out} is a file, a folder was expected")
    try:
        names = sorted(path.name for path in out.iterdir()) if out.exists() else []
        manifest = read_manifest(out)
        if resume and not _just_begun(names):
            found = _resumable(out, stage, plain_identity, manifest)
            folder = OutputFolder(out, stage, plain_identity, not found, found, (manifest or {}).get("numbers", {}))
            begun_by = (manifest or {}).get("version")
            if progress is not None and folder.resuming and begun_by != __version__:
                progress.message(
                    f"warning: output {out} was begun by garbage-synth {begun_by}, this is {__version__}; what is "
                    "there stays as that made it, --overwrite makes all of it anew"
                )
        elif names and not resume:
            _refuse_loss(out, manifest, overwrite)
        if dry_run or folder.finished:
            return folder
        if overwrite:
            if manifest is not None and names:
                # killed while emptying, the folder must not pass for the finished one that it was
                write_json(out / MANIFEST_FILE, {**manifest, "status": "begun", "numbers": {}})
            _empty(out, names)
        out.mkdir(parents=True, exist_ok=True)
        folder.begin()
    except (PermissionError, NotADirectoryError) as error:
        raise InputError(f"output {out} cannot be written: {error.strerror} ({error.filename})") from error
    return folder


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of an output folder, or None where there is none of ours."""
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and manifest.get("tool") == "garbage-synth" else None


def fingerprint(paths: Sequence[Path]) -> str:
    """Hexadecimal content identity of files and folders: names inside folders, sizes and contents, not dates or places.

    Of our own outputs the manifest is left out, because it holds timings, and the record of the settings: what was made
    with them is looked at, and a later version may have a setting more without making anything else. A path that does
    not exist counts as such.
    """
    total = hashlib.sha256()
    for path in paths:
        members = [(file.relative_to(path).as_posix(), file) for file in files_under(path)] if path.is_dir() else []
        ours = (MANIFEST_FILE, SETTINGS_FILE) if (path / MANIFEST_FILE).is_file() else ()
        members = [(name, file) for name, file in members if name not in ours]
        if path.is_file():
            members = [(path.name, path)]
        total.update(f"{len(members)}\n".encode())
        for name, file in members:
            total.update(f"{name}\x1f{file_hash(file)}\n".encode())
    return total.hexdigest()[:32]


def file_hash(path: Path) -> str:
    """SHA-256 of the bytes of a file, hexadecimal. Raises InputError where it cannot be read."""
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _refuse_overlap(out: Path, inputs: Iterable[Path], beside: Iterable[Path]) -> None:
    target = out.resolve()
    for folder in beside:
        if target in (folder.resolve(), *folder.resolve().parents):
            raise InputError(f"input {folder} lies inside the output {out}; choose another --out")
    for source in inputs:
        real = source.resolve()
        if real == target:
            raise InputError(f"input and output are the same folder, {out}; choose another --out")
        if real in target.parents:
            raise InputError(f"output {out} lies inside the input {source}; choose another --out")
        if target in real.parents:
            raise InputError(f"input {source} lies inside the output {out}; choose another --out")


def _just_begun(names: Sequence[str]) -> bool:
    """Nothing but the manifest and left-over temporary files."""
    return all(name == MANIFEST_FILE or (name.startswith(".") and name.endswith(".tmp")) for name in names)


def _refuse_loss(out: Path, manifest: Mapping[str, Any] | None, overwrite: bool) -> None:
    if manifest is None:
        hint = ", so --overwrite does not replace it" if overwrite else ""
        raise OutputExistsError(f"output {out} is not empty and not made by garbage-synth{hint}; choose another --out")
    if not overwrite:
        raise OutputExistsError(
            f"output {out} holds a {manifest.get('status')} {manifest.get('stage')} run; "
            "give --resume to continue, --overwrite to replace it, or another --out"
        )


def _resumable(out: Path, stage: str, identity: Mapping[str, Any], manifest: Mapping[str, Any] | None) -> bool:
    """True where the run is finished, False where it can go on."""
    if manifest is None:
        raise OutputExistsError(f"output {out} is not empty and was not made by garbage-synth; nothing to resume there")
    if manifest.get("stage") != stage:
        raise InputError(f"output {out} holds a {manifest.get('stage')} run, cannot resume it as {stage}")
    for key, before, now in differences(manifest.get("identity", {}), identity):
        raise InputError(
            f"output {out} was begun with {key} = {before!r}, now it is {now!r}; "
            "resume with the same inputs and settings, or choose another --out"
        )
    return manifest.get("status") == "finished"


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """(key, value before, value now) of what differs between two identities; a value of None is as good as none."""
    flat, others = _flat(before), _flat(now)
    return [
        (key, flat.get(key), others.get(key))
        for key in sorted(flat.keys() | others.keys())
        if flat.get(key) != others.get(key)
    ]


def _flat(tree: Any, prefix: str = "") -> dict[str, Any]:
    """{"a.b": leaf} of nested mappings."""
    if not isinstance(tree, Mapping) or not tree:
        return {prefix: tree}
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}.{key}" if prefix else str(key))
    return flat


def _empty(out: Path, names: Sequence[str]) -> None:
    """Remove what the folder holds, the manifest last, so that an interruption leaves a folder still known as ours."""
    for name in names:
        path = out / name
        if name == MANIFEST_FILE:
            continue
        if path.is_dir() and not os.path.islink(path):
            shutil.rmtree(path)
        else:
            path.unlink()
