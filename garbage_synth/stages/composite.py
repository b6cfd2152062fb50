"""`composite`: crops and empty belts become a labelled dataset."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from garbage_synth.config.base import dump_config
from garbage_synth.config.composite import CompositeConfig
from garbage_synth.core.progress import NullProgress, Progress, StageSummary
from garbage_synth.errors import InputError
from garbage_synth.io.atomic import write_text
from garbage_synth.io.output import SETTINGS_FILE, fingerprint, open_output
from garbage_synth.run.local import available_workers, map_unordered
from garbage_synth.stages.composite_image import MakePicture, Unit, picture_name, record_path
from garbage_synth.stages.composite_join import join_records, remove_records
from garbage_synth.stages.composite_plan import Plan, Wanted, check_arguments, make_plan

__all__ = ["composite"]

ROOM_WARNING = 0.25  # part of the items without room from which the pictures are not what was asked for
PICTURES_PER_WORKER = 8  # fewer are made sooner than a process starts
BALANCED_ITEMS = 10_000  # from so many items on, classes have the shares that were asked for ...
BALANCED_WITHIN = 0.02  # ... to this part of them


def composite(
    crops: Path,
    backgrounds: Path,
    out: Path,
    *,
    count: int,
    distractors: Path | None = None,
    size: tuple[int, int] | None = None,
    items: tuple[int, int] = (3, 12),
    empty_fraction: float | None = None,
    val_fraction: float = 0.2,
    seed: int = 0,
    workers: int | None = None,
    formats: Sequence[str] = ("coco",),
    config: CompositeConfig | None = None,
    overwrite: bool = False,
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> StageSummary:
    """Makes `count` pictures of crops lying on belts, with exact labels, as a dataset tree in `out`.

    crops: `<class>/*.png` RGBA, with or without crops.json. backgrounds: pictures of the empty belt, with or without
    sidecars. count: train and val together. distractors: RGBA pictures of what is never labelled. size: (width,
    height), None = each belt's own; belts are scaled to cover it and cropped. items: smallest and largest number of
    items per picture. empty_fraction: share of pictures without items, 0..1, None = the config's. val_fraction: 0 up to
    below 1. workers: None = one per core, 1 = in this process. formats: "coco" is always written, "yolo" when named.

    Train and val share no crop source, and no belt where there are five belts or more. Every file depends on the inputs
    and settings alone, not on workers, order or interruptions. What was made is kept on resume.

    Raises InputError for input that cannot be used, before anything is written.
    """
    progress = progress or NullProgress()
    config = config or CompositeConfig()
    if empty_fraction is not None:
        if not 0 <= empty_fraction <= 1:
            raise InputError(f"empty-fraction is {empty_fraction}, expected 0..1")
        placement = config.placement.model_copy(update={"empty_fraction": float(empty_fraction)})
        config = config.model_copy(update={"placement": placement})
    workers = available_workers() if workers is None else workers
    wanted = Wanted(crops, backgrounds, distractors, count, size, items, val_fraction, seed)
    check_arguments(wanted, workers, formats)
    plan = make_plan(wanted, config, workers, progress)
    folder = open_output(
        out,
        stage="composite",
        identity={
            "backgrounds": fingerprint([backgrounds]),
            "config": config.model_dump(mode="json"),
            "count": count,
            "crops": fingerprint([crops]),
            "distractors": None if distractors is None else fingerprint([distractors]),
            "formats": sorted({"coco", *formats}),
            "items": list(items),
            "seed": seed,
            "size": None if size is None else list(size),
            "val_fraction": val_fraction,
        },
        inputs=[crops, backgrounds, *([] if distractors is None else [distractors])],
        overwrite=overwrite,
        resume=resume,
        dry_run=dry_run,
        progress=progress,
    )
    for warning in plan.warnings:
        progress.message(f"warning: {warning}")
    first = out / "images" / "train" / picture_name(("train", 0))
    if dry_run or folder.finished:
        if folder.finished and not dry_run:
            remove_records(out)  # of a run that was killed between its end and its tidying up
        numbers = dict(folder.numbers) if folder.finished else _planned_numbers(plan)
        return StageSummary("composite", out, numbers, plan.warnings, open_file=first if folder.finished else None)

    write_text(out / SETTINGS_FILE, dump_config(config))
    missing = sum(1 for _ in _units(plan, out, folder.resuming))
    progress.start("compositing", count)
    progress.advance(count - missing)
    task = MakePicture(crops, backgrounds, out, config, seed, plan.catalogs, plan.category_ids, distractors)
    pool = min(workers, -(-missing // PICTURES_PER_WORKER))
    for _ in map_unordered(task, _units(plan, out, folder.resuming), workers=pool):
        progress.advance()
    shares = {split: catalog.shares for split, catalog in plan.catalogs.items()}
    categories = {number: name for name, number in plan.category_ids.items()}
    statistics = join_records(out, plan.counts, categories, shares, formats)
    numbers = _made_numbers(statistics)
    folder.finish(numbers)
    remove_records(out)
    late = (*_room_warnings(statistics), *_balance_warnings(statistics))
    for warning in late:
        progress.message(f"warning: {warning}")
    return StageSummary("composite", out, numbers, (*plan.warnings, *late), open_file=first)


def _units(plan: Plan, out: Path, resuming: bool) -> Iterator[Unit]:
    """The pictures to make, one after the other, so that memory does not grow with their number."""
    for split, number in plan.counts.items():
        for unit in ((split, index) for index in range(number)):
            if not (resuming and _is_made(out, unit)):
                yield unit


def _room_warnings(statistics: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """A warning where many of the items that were asked for are missing."""
    without, placed, removed = (
        sum(numbers[key] for numbers in statistics.values())
        for key in ("items_without_room", "items_in_pictures", "items_removed_as_hidden")
    )
    wanted = without + placed + removed
    if without <= ROOM_WARNING * wanted:
        return ()
    text = (
        f"{without} of {wanted} items found no room on the belts: ask for fewer --items, check belt_mm_per_px and the "
        "belts' polygons, or allow more with placement.max_overlap and placement.tries"
    )
    return (text,)


def _balance_warnings(statistics: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(
        f"{split}: the share of a class is {numbers['largest_class_deviation']:.1%} off what was asked for (see "
        "stats.json); items that find no room or are hidden are missing, and placement.coverage cannot keep count"
        for split, numbers in statistics.items()
        if numbers["annotations"] >= BALANCED_ITEMS and numbers["largest_class_deviation"] > BALANCED_WITHIN
    )


def _is_made(out: Path, unit: Unit) -> bool:
    return record_path(out, unit).is_file() and (out / "images" / unit[0] / picture_name(unit)).is_file()


def _planned_numbers(plan: Plan) -> dict[str, Any]:
    return {
        "belts": len({view.background.id for catalog in plan.catalogs.values() for view in catalog.belts}),
        "classes": len(plan.category_ids),
        "crops": sum(len(own) for catalog in plan.catalogs.values() for own in catalog.crops.values()),
        "images": dict(plan.counts),
    }


def _made_numbers(statistics: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    keys = ("images", "annotations", "items_without_room", "items_removed_as_hidden", "largest_class_deviation")
    return {key: {split: statistics[split][key] for split in statistics} for key in keys}
