"""The command line: parses, calls one stage function, prints its summary. Heavy packages load inside the commands."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

from garbage_synth import __version__
from garbage_synth.core.progress import Progress, StageSummary
from garbage_synth.errors import GarbageSynthError, InputError, MissingDependencyError

if TYPE_CHECKING:
    from garbage_synth.config.base import StageConfig

__all__ = ["app", "main"]

app = typer.Typer(
    name="garbage-synth",
    help="Photos of single items and pictures of an empty belt -> a detection dataset that looks like your line.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Out = Annotated[Path, typer.Option("--out", "-o", help="Output folder; must be missing or empty.", show_default=False)]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an output folder that garbage-synth made.")]
Resume = Annotated[
    bool, typer.Option("--resume", help="Continue an interrupted run with the same inputs and settings.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check the input and say what would be done; write nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")]
ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="YAML file with settings beyond the flags.", show_default=False),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="One setting, over the config file; repeatable.", show_default=False
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of all random choices.")]
Workers = Annotated[
    int | None,
    typer.Option(help="Worker processes; default: the cores. Never changes the output.", show_default=False),
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda[:i]", help="Where the networks run.")]
Precision = Annotated[str, typer.Option(metavar="auto|fp32|bf16", help="Arithmetic of the networks.")]

Images = Annotated[
    str, typer.Option("--images", metavar="copy|hardlink", help="Copy the pictures, or link them on one file system.")
]

Config = TypeVar("Config", bound="StageConfig")


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
) -> None:
    if version:
        print(f"garbage-synth {__version__}")
        raise typer.Exit(0)


@app.command()
def segment(
    photos: Annotated[Path, typer.Argument(help="Folder per class of single-item photos, or a COCO dataset.")],
    out: Out,
    method: Annotated[str, typer.Option(metavar="auto|grabcut|alpha|mask|coco|rembg", help="How to cut.")] = "auto",
    boxes: Annotated[
        Path | None,
        typer.Option(help="JSON file {photo: [x0, y0, x1, y1]} with the item's box.", show_default=False),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Split of a COCO dataset to cut from.", show_default=False),
    ] = None,
    workers: Workers = None,
    config: ConfigFile = None,
    settings: Settings = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Cut single items out of their photos: RGBA, soft clean edges."""

    def work(progress: Progress) -> StageSummary:
        from garbage_synth.config.segment import SegmentConfig
        from garbage_synth.stages.segment import segment as stage

        return stage(
            photos,
            out,
            method=method,
            boxes=boxes,
            split=split,
            config=_load(SegmentConfig, config, settings),
            overwrite=overwrite,
            resume=resume,
            dry_run=dry_run,
            workers=workers,
            progress=progress,
        )

    _execute(work, as_json=as_json, dry_run=dry_run, resumable=True)


@app.command()
def composite(
    crops: Annotated[Path, typer.Option(help="Folder <class>/*.png of cut-outs.", show_default=False)],
    backgrounds: Annotated[Path, typer.Option(help="Folder of empty belt pictures.", show_default=False)],
    out: Out,
    count: Annotated[int, typer.Option(help="Images in all, train and val together.", show_default=False)],
    distractors: Annotated[
        Path | None,
        typer.Option(help="Folder of RGBA *.png that are never labelled: dirt, drops, tools.", show_default=False),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="WxH", help="Image size; default: the belt's own.", show_default=False),
    ] = None,
    items: Annotated[str, typer.Option(metavar="MIN..MAX", help="Items per image.")] = "3..12",
    empty_fraction: Annotated[
        float | None,
        typer.Option(help="Share of images without items; default: placement.empty_fraction, 0.", show_default=False),
    ] = None,
    val_fraction: Annotated[float, typer.Option(help="Share of the images that go to val.")] = 0.2,
    seed: Seed = 0,
    workers: Workers = None,
    formats: Annotated[str, typer.Option("--format", metavar="coco,yolo", help="Label formats to write.")] = "coco",
    config: ConfigFile = None,
    settings: Settings = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Lay cut-outs on empty belts: images with exact labels."""

    def work(progress: Progress) -> StageSummary:
        from garbage_synth.config.composite import CompositeConfig
        from garbage_synth.stages.arguments import parse_pair, parse_words
        from garbage_synth.stages.composite import composite as stage

        return stage(
            crops,
            backgrounds,
            out,
            count=count,
            distractors=distractors,
            size=None if size is None else parse_pair(size, "size", "WxH"),
            items=parse_pair(items, "items", "MIN..MAX"),
            empty_fraction=empty_fraction,
            val_fraction=val_fraction,
            seed=seed,
            workers=workers,
            formats=parse_words(formats),
            config=_load(CompositeConfig, config, settings),
            overwrite=overwrite,
            resume=resume,
            dry_run=dry_run,
            progress=progress,
        )

    _execute(work, as_json=as_json, dry_run=dry_run, resumable=True)


@app.command("train-gan")
def train_gan(
    synthetic: Annotated[Path, typer.Option(help="Dataset (its train split) or folder of images.", show_default=False)],
    real: Annotated[Path, typer.Option(help="Folder of real frames, or a dataset.", show_default=False)],
    out: Out,
    epochs: Annotated[
        int | None,
        typer.Option(help="Epochs of the whole schedule; instead of --steps.", show_default=False),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Steps of the whole schedule; instead of --epochs.", show_default=False),
    ] = None,
    stop_after: Annotated[
        int | None,
        typer.Option(help="Checkpoint and end after so many steps; continue with --resume.", show_default=False),
    ] = None,
    crop: Annotated[int, typer.Option(help="Side of the random square crops, pixels.")] = 256,
    resize: Annotated[
        str | None,
        typer.Option(metavar="short:P", help="First scale the short side to P pixels.", show_default=False),
    ] = None,
    generator: Annotated[
        str,
        typer.Option(
            metavar="resnet9|resnet6|warp|warp6",
            help="Generator network; warp and warp6 deform the picture, add to it and carry its labels along.",
        ),
    ] = "resnet9",
    batch: Annotated[int, typer.Option(help="Pairs per step.")] = 1,
    device: Device = "auto",
    precision: Precision = "auto",
    seed: Seed = 0,
    config: ConfigFile = None,
    settings: Settings = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Train a CycleGAN between two unpaired folders of images."""

    def work(progress: Progress) -> StageSummary:
        from garbage_synth.config.gan import GanConfig
        from garbage_synth.stages.train_gan import train_gan as stage

        return stage(
            synthetic,
            real,
            out,
            epochs=epochs,
            steps=steps,
            stop_after=stop_after,
            crop=crop,
            resize=resize,
            generator=generator,
            batch=batch,
            device=device,
            precision=precision,
            seed=seed,
            config=_load(GanConfig, config, settings),
            resume=resume,
            overwrite=overwrite,
            dry_run=dry_run,
            progress=progress,
        )

    _execute(work, as_json=as_json, dry_run=dry_run, resumable=True, silent=_is_follower())


@app.command("train-detector")
def train_detector(
    dataset: Annotated[Path, typer.Argument(help="Dataset to learn from: a folder or a COCO file.")],
    out: Out,
    model: Annotated[
        str,
        typer.Option(
            metavar="fcos-small|ssdlite|retinanet-resnet18|fasterrcnn-mobilenet", help="The network, from scratch."
        ),
    ] = "fcos-small",
    epochs: Annotated[
        int | None,
        typer.Option(help="Epochs of the whole schedule; default: 40.", show_default=False),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(
            help="Iterations instead of --epochs: the same budget for datasets of any size.", show_default=False
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Split to learn from; default: train, or the only one.", show_default=False)
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="File of weights to begin with, where names and shapes fit.", show_default=False),
    ] = None,
    device: Device = "auto",
    precision: Annotated[
        str,
        typer.Option(
            metavar="auto|fp32|bf16", help="Arithmetic of the network; auto is fp32, so as to measure alike everywhere."
        ),
    ] = "auto",
    seed: Seed = 0,
    config: ConfigFile = None,
    settings: Settings = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Train a small detector on a dataset: a yardstick to compare datasets by, no product."""

    def work(progress: Progress) -> StageSummary:
        from garbage_synth.config.detector import DetectorConfig
        from garbage_synth.stages.train_detector import train_detector as stage

        return stage(
            dataset,
            out,
            model=model,
            epochs=epochs,
            iterations=iterations,
            split=split,
            weights=weights,
            device=device,
            precision=precision,
            seed=seed,
            config=_load(DetectorConfig, config, settings),
            resume=resume,
            overwrite=overwrite,
            dry_run=dry_run,
            progress=progress,
        )

    _execute(work, as_json=as_json, dry_run=dry_run, resumable=True)


@app.command()
def refine(
    dataset: Annotated[Path, typer.Argument(help="Dataset whose images are rewritten.")],
    generator: Annotated[Path, typer.Option(help="Run folder of train-gan, or a generator file.", show_default=False)],
    out: Out,
    direction: Annotated[
        str, typer.Option(metavar="synthetic-to-real|real-to-synthetic", help="Which generator of a run.")
    ] = "synthetic-to-real",
    on_drift: Annotated[
        str, typer.Option(metavar="adjust|drop|keep|fail", help="What becomes of labels that no longer hold.")
    ] = "adjust",
    drop_rejected: Annotated[
        bool, typer.Option("--drop-rejected", help="Leave images out that lost too many items, instead of the old one.")
    ] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    max_memory: Annotated[
        float | None,
        typer.Option(
            metavar="GB",
            help="What a picture may take in the generator; larger ones go in bands, equal but for rounding. "
            "Default: max_memory_gb, a quarter of the machine's.",
            show_default=False,
        ),
    ] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Rewrite a dataset by a trained generator; every label is checked."""

    def work(progress: Progress) -> StageSummary:
        from garbage_synth.config.refine import RefineConfig
        from garbage_synth.stages.refine import refine as stage

        own = [] if max_memory is None else [f"max_memory_gb={max_memory}"]
        return stage(
            dataset,
            generator,
            out,
            direction=direction,
            on_drift=on_drift,
            drop_rejected=drop_rejected,
            device=device,
            precision=precision,
            config=_load(RefineConfig, config, [*(settings or []), *own]),
            overwrite=overwrite,
            resume=resume,
            dry_run=dry_run,
            progress=progress,
        )

    _execute(work, as_json=as_json, dry_run=dry_run, resumable=True)


@app.command("export-generator")
def export_generator(
    run_or_file: Annotated[Path, typer.Argument(help="Run folder of train-gan, or a generator file.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The file; its ending tells the format.", show_default=False)
    ],
    direction: Annotated[
        str, typer.Option(metavar="synthetic-to-real|real-to-synthetic", help="Which generator of a run.")
    ] = "synthetic-to-real",
    format: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="onnx|pt2|safetensors-fp16", help="Format, if not by the ending.", show_default=False
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    as_json: Json = False,
) -> None:
    """Write a trained generator for other runtimes, compared with the network itself."""

    def work(progress: Progress) -> StageSummary:
        from garbage_synth.stages.export_generator import export_generator as stage

        return stage(run_or_file, out, direction=direction, format=format, overwrite=overwrite, progress=progress)

    _execute(work, as_json=as_json)


@app.command()
def export(
    dataset: Annotated[Path, typer.Argument(help="Dataset to convert.")],
    format: Annotated[
        str,
        typer.Option(
            metavar="coco|yolo|yolo-seg|voc|coco-roboflow|hf-imagefolder|webdataset", help="Layout.", show_default=False
        ),
    ],
    out: Out,
    shard_size: Annotated[
        int | None,
        typer.Option(help="Images in a tar file of webdataset; default: 1000.", show_default=False),
    ] = None,
    images: Images = "copy",
    overwrite: Overwrite = False,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Write a dataset in the layout that a trainer expects."""

    def work(progress: Progress) -> StageSummary:
        from garbage_synth.stages.export import export as stage

        return stage(
            dataset,
            out,
            format=format,
            shard_size=shard_size,
            images=images,
            overwrite=overwrite,
            resume=resume,
            dry_run=dry_run,
            progress=progress,
        )

    _execute(work, as_json=as_json, dry_run=dry_run, resumable=True)


@app.command()
def merge(
    datasets: Annotated[list[Path], typer.Argument(help="Datasets to unite; the first has the first word.")],
    out: Out,
    images: Images = "copy",
    overwrite: Overwrite = False,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Unite datasets in one: classes and splits by their names."""

    def work(progress: Progress) -> StageSummary:
        from garbage_synth.stages.merge import merge as stage

        return stage(
            datasets, out, images=images, overwrite=overwrite, resume=resume, dry_run=dry_run, progress=progress
        )

    _execute(work, as_json=as_json, dry_run=dry_run, resumable=True)


@app.command()
def subset(
    dataset: Annotated[Path, typer.Argument(help="Dataset to choose from.")],
    out: Out,
    classes: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Classes that stay.", show_default=False),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(help="Images in all, every split in proportion.", show_default=False),
    ] = None,
    min_visible: Annotated[
        float | None,
        typer.Option(metavar="F", help="Smallest visible fraction of an item, 0..1.", show_default=False),
    ] = None,
    drop_empty: Annotated[bool, typer.Option("--drop-empty", help="Leave out images without annotation.")] = False,
    seed: Seed = 0,
    images: Images = "copy",
    overwrite: Overwrite = False,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Take part of a dataset: by class, number, visibility."""

    def work(progress: Progress) -> StageSummary:
        from garbage_synth.stages.arguments import parse_words
        from garbage_synth.stages.subset import subset as stage

        return stage(
            dataset,
            out,
            classes=None if classes is None else parse_words(classes),
            count=count,
            min_visible=min_visible,
            drop_empty=drop_empty,
            seed=seed,
            images=images,
            overwrite=overwrite,
            resume=resume,
            dry_run=dry_run,
            progress=progress,
        )

    _execute(work, as_json=as_json, dry_run=dry_run, resumable=True)


@app.command()
def split(
    dataset: Annotated[Path, typer.Argument(help="Dataset to divide anew.")],
    out: Out,
    val_fraction: Annotated[float, typer.Option(help="Share of the images that go to val.", show_default=False)],
    test_fraction: Annotated[float, typer.Option(help="Share of the images that go to test.")] = 0.0,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="FIELD|folder|prefix:SEP",
            help="Images that agree in this stay together; default: the field source, where there is one.",
            show_default=False,
        ),
    ] = None,
    seed: Seed = 0,
    images: Images = "copy",
    overwrite: Overwrite = False,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Divide a dataset anew into train, val, test."""

    def work(progress: Progress) -> StageSummary:
        from garbage_synth.stages.split import split as stage

        return stage(
            dataset,
            out,
            val_fraction=val_fraction,
            test_fraction=test_fraction,
            by=by,
            seed=seed,
            images=images,
            overwrite=overwrite,
            resume=resume,
            dry_run=dry_run,
            progress=progress,
        )

    _execute(work, as_json=as_json, dry_run=dry_run, resumable=True)


@app.command()
def validate(
    dataset: Annotated[Path, typer.Argument(help="Dataset to check.")],
    as_json: Json = False,
) -> None:
    """Check a dataset: exit 0 where sound, else 1 and its defects."""

    def work(progress: Progress) -> StageSummary:
        from garbage_synth.stages.validate import validate as stage

        return stage(dataset, progress=progress)

    _execute(work, as_json=as_json)


@app.command()
def report(
    datasets: Annotated[list[Path], typer.Argument(help="Datasets to show side by side.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The HTML file.", show_default=False)],
    pictures: Annotated[int, typer.Option(help="Pictures of each dataset.")] = 8,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """One HTML page with pictures, boxes, masks and counts."""

    def work(progress: Progress) -> StageSummary:
        from garbage_synth.stages.report import report as stage

        return stage(datasets, out, pictures=pictures, overwrite=overwrite, dry_run=dry_run, progress=progress)

    _execute(work, as_json=as_json, dry_run=dry_run)


@app.command()
def run(
    pipeline: Annotated[Path, typer.Argument(help="YAML file that names the stages and their arguments.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of all outputs; default: the one the YAML names.", show_default=False),
    ] = None,
    workers: Workers = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="STAGE.KEY=VALUE", help="One argument of one stage; repeatable."),
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Run a chain of stages, skipping what is done and unchanged."""

    def work(progress: Progress) -> StageSummary:
        from garbage_synth.stages.pipeline import run_pipeline as stage

        return stage(pipeline, out, overrides=settings or (), workers=workers, dry_run=dry_run, progress=progress)

    _execute(work, as_json=as_json, dry_run=dry_run, hint="continue with the same command")


@app.command()
def ladder(
    file: Annotated[Path, typer.Argument(metavar="LADDER", help="YAML: stages, arms to train on, the test set.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of all outputs; default: the one the YAML names.", show_default=False),
    ] = None,
    arms: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="These arms alone, and the stages they need.", show_default=False),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Detectors trained at a time; default: the cores, on a GPU 1. Also for the stages.",
            show_default=False,
        ),
    ] = None,
    device: Device = "auto",
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="STAGE.KEY=VALUE", help="One argument; also detector.KEY=VALUE, seeds=[0]; repeatable."
        ),
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Which training data makes the best detector: one table."""

    def work(progress: Progress) -> StageSummary:
        from garbage_synth.stages.arguments import parse_words
        from garbage_synth.stages.ladder import ladder as stage

        return stage(
            file,
            out,
            arms=None if arms is None else parse_words(arms),
            overrides=settings or (),
            workers=workers,
            device=device,
            dry_run=dry_run,
            progress=progress,
        )

    _execute(work, as_json=as_json, dry_run=dry_run, hint="continue with the same command")


@app.command()
def frames(
    source: Annotated[Path, typer.Argument(help="Video file, or folder of videos or pictures.")],
    out: Out,
    every: Annotated[float, typer.Option(metavar="SECONDS", help="Time between two looks at a video.")] = 1.0,
    median: Annotated[
        Path | None,
        typer.Option(
            metavar="PLATE.jpg", help="Also write the empty belt: the median of each pixel.", show_default=False
        ),
    ] = None,
    config: ConfigFile = None,
    settings: Settings = None,
    overwrite: Overwrite = False,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Pictures, and the empty belt, out of a video of your line."""

    def work(progress: Progress) -> StageSummary:
        from garbage_synth.config.frames import FramesConfig
        from garbage_synth.stages.frames import frames as stage

        return stage(
            source,
            out,
            every=every,
            median=median,
            config=_load(FramesConfig, config, settings),
            overwrite=overwrite,
            resume=resume,
            dry_run=dry_run,
            progress=progress,
        )

    _execute(work, as_json=as_json, dry_run=dry_run, resumable=True)


@app.command()
def belt(
    pictures: Annotated[list[Path], typer.Argument(help="Pictures of an empty belt, or folders of them.")],
    mm_per_px: Annotated[
        float | None,
        typer.Option(metavar="F", help="Millimetres per pixel of the belt, for the sidecar.", show_default=False),
    ] = None,
    travel_deg: Annotated[
        float | None,
        typer.Option(
            metavar="F", help="Travel: 0 = right, 90 = down; default: along the edges found.", show_default=False
        ),
    ] = None,
    overlay: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Pictures to check; default: FOLDER_belt_check beside FOLDER.", show_default=False
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace polygon_px in sidecars that exist.")] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Propose where the belt lies in its pictures: a sidecar each."""

    def work(progress: Progress) -> StageSummary:
        from garbage_synth.stages.belt import belt as stage

        return stage(
            pictures,
            mm_per_px=mm_per_px,
            travel_deg=travel_deg,
            overlay=overlay,
            overwrite=overwrite,
            dry_run=dry_run,
            progress=progress,
        )

    _execute(work, as_json=as_json, dry_run=dry_run)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="Run folder of train-detector.")],
    truth: Annotated[Path, typer.Argument(help="Labelled dataset, or one COCO file beside its pictures.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder for numbers, curves and pictures; default: none.", show_default=False),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Split to score; default: the only one, else test, else val.", show_default=False),
    ] = None,
    class_agnostic: Annotated[
        bool, typer.Option("--class-agnostic", help="All classes are one: is there an item, whatever it is?")
    ] = False,
    class_map: Annotated[
        str | None,
        typer.Option("--map", metavar="TRUTH=DETECTOR,...", help="Classes whose names differ.", show_default=False),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Score these classes of the truth alone.", show_default=False),
    ] = None,
    device: Device = "auto",
    overwrite: Overwrite = False,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Score a detector of train-detector: a yardstick for datasets.

    AP, AP50, AP75 as COCO has them, by class, size and visible fraction, the curve, the worst pictures. The detector is
    small and there to compare datasets by; train what you deploy with a trainer of your own.
    """

    def work(progress: Progress) -> StageSummary:
        from garbage_synth.stages.arguments import parse_names, parse_words
        from garbage_synth.stages.evaluate import evaluate as stage

        return stage(
            run,
            truth,
            out,
            split=split,
            class_agnostic=class_agnostic,
            class_map=None if class_map is None else parse_names(class_map, "--map"),
            classes=None if classes is None else parse_words(classes),
            device=device,
            overwrite=overwrite,
            resume=resume,
            dry_run=dry_run,
            progress=progress,
        )

    _execute(work, as_json=as_json, dry_run=dry_run, resumable=True)


@app.command("check-labels")
def check_labels(
    before: Annotated[Path, typer.Argument(help="Dataset with the labels and the pictures they were made for.")],
    after: Annotated[Path, typer.Argument(help="Folder of the same pictures, rewritten.")],
    fail_below: Annotated[
        float | None,
        typer.Option(metavar="RATE", help="Exit 1 where a smaller part of labels holds (0..1).", show_default=False),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(metavar="FILE.json", help="Write every verdict.", show_default=False),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(metavar="FILE.jpg", help="Draw the worst pictures, before and after.", show_default=False),
    ] = None,
    workers: Workers = None,
    config: ConfigFile = None,
    settings: Settings = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the files of --report and --sheet.")] = False,
    as_json: Json = False,
) -> None:
    """Do the labels still hold after the pictures were rewritten?"""

    def work(progress: Progress) -> StageSummary:
        from garbage_synth.config.fidelity import FidelityConfig
        from garbage_synth.stages.check_labels import check_labels as stage

        return stage(
            before,
            after,
            fail_below=fail_below,
            report=report,
            sheet=sheet,
            config=_load(FidelityConfig, config, settings),
            workers=workers,
            overwrite=overwrite,
            progress=progress,
        )

    _execute(work, as_json=as_json)


def main() -> None:
    """The entry point: exit 0 done, 1 failed, 2 wrong usage or input, 130 interrupted."""
    try:
        app()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None


def _load(cls: type[Config], path: Path | None, settings: list[str] | None) -> Config:
    from garbage_synth.config.base import load_config

    return load_config(cls, path, settings or [])


def _execute(
    work: Callable[[Progress], StageSummary],
    *,
    as_json: bool,
    dry_run: bool = False,
    resumable: bool = False,
    hint: str | None = None,
    silent: bool = False,
) -> None:
    """Run a stage; print its summary, or the one line that says what is wrong; exit with the code for it."""
    from garbage_synth.console import listening, summary_as_json, summary_as_text

    try:
        with listening() as progress:
            summary = work(progress)
    except GarbageSynthError as error:
        _fail(error, as_json)
    except KeyboardInterrupt:
        hint = hint or ("continue with --resume" if resumable else None)
        print("interrupted" + (f"; {hint}" if hint else ""), file=sys.stderr)
        raise typer.Exit(130) from None
    except ImportError as error:
        _fail(_missing(error), as_json)
    except MemoryError:
        _fail(GarbageSynthError("out of memory; give smaller pictures, or fewer --workers"), as_json)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        _fail(GarbageSynthError(f"{error.strerror or error}{where}"), as_json)
    if silent:
        raise typer.Exit(0 if summary.ok else 1)
    for warning in summary.warnings:
        if not any(line.removeprefix("warning: ") in warning for line in progress.seen if line):
            print(f"warning: {warning}", file=sys.stderr)
    print(summary_as_json(summary) if as_json else summary_as_text(summary, dry_run=dry_run))
    raise typer.Exit(0 if summary.ok else 1)


def _is_follower() -> bool:
    """Whether torchrun started this process beside one that speaks for all."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1 and os.environ.get("RANK", "0") != "0"


def _fail(error: GarbageSynthError, as_json: bool) -> NoReturn:
    line = " ".join(str(error).split())
    print(f"error: {line}", file=sys.stderr)
    if as_json:
        import json

        print(json.dumps({"error": line, "ok": False}, ensure_ascii=False))
    raise typer.Exit(error.exit_code)


def _missing(error: ImportError) -> GarbageSynthError:
    """A library that does not import, as one line with its remedy."""
    if error.name == "cv2" or (".so" in str(error) and "cv2" in f"{error.path}"):
        from garbage_synth.io.opencv import opencv_missing

        return opencv_missing(error)
    if error.name and not error.name.startswith("garbage_synth"):
        return MissingDependencyError(f"package {error.name.partition('.')[0]} is missing ({error}); pip install it")
    return InputError(f"this installation is broken: {error}; reinstall garbage-synth")
