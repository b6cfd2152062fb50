from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from garbage_synth.config.detector import AugmentConfig, DetectorConfig
from garbage_synth.core.progress import NullProgress
from garbage_synth.detect import training
from garbage_synth.detect.detector import DETECTOR_FILE, load_detector, take_weights
from garbage_synth.detect.models import DETECTORS, build_detector
from garbage_synth.detect.samples import LabelledPicture
from garbage_synth.detect.training import DetectorPlan, learning_rate, train_detector_network
from garbage_synth.errors import GarbageSynthError, InputError

CPU = torch.device("cpu")
SMALL = DetectorConfig(image_px=64, batch=2, log_every=2, checkpoint_every=2)
PLAN = DetectorPlan("fcos-small", ("box", "can"), SMALL, 6, (64, 64), 1, CPU, "fp32")


def painted(box: tuple[int, int, int, int], channel: int) -> NDArray[np.uint8]:
    x0, y0, x1, y1 = box
    pixels = np.full((64, 64, 3), 60, np.uint8)
    pixels[y0:y1, x0:x1, channel] = 250
    return pixels


def pictures() -> list[LabelledPicture]:
    """A red box, then a green one elsewhere."""
    boxes = ((8, 8, 40, 32), (20, 24, 56, 56))
    return [
        LabelledPicture(partial(painted, box, number), np.array([box], np.float64), np.array([number]))
        for number, box in enumerate(boxes)
    ]


def ignore(iteration: int, values: dict[str, float]) -> None:
    """A record that is not kept."""


def train(folder: Path, plan: DetectorPlan = PLAN, *, stop: int | None = None) -> list[int]:
    """Train; break off at the iteration `stop`, as a kill would. The iterations that were recorded."""
    folder.mkdir(exist_ok=True)
    torch.manual_seed(plan.seed)
    network = build_detector(plan.model, len(plan.class_names), plan.config)
    seen: list[int] = []

    def record(iteration: int, values: dict[str, float]) -> None:
        seen.append(iteration)
        if iteration == stop:
            raise KeyboardInterrupt

    train_detector_network(network, pictures(), plan, folder=folder, record=record, progress=NullProgress())
    return seen


def test_two_pictures_are_learnt_by_heart(tmp_path: Path) -> None:
    config = SMALL.model_copy(
        update={
            "augment": AugmentConfig(
                mosaic=0,
                scale=(1, 1),
                flip_horizontal=0,
                flip_vertical=0,
                brightness=0,
                contrast=0,
                saturation=0,
                hue=0,
            ),
            "learning_rate": 3e-3,
            "ema_decay": 0.9,
        }
    )
    train(tmp_path, replace(PLAN, config=config, iterations=60))
    detector = load_detector(tmp_path, CPU)

    for picture in pictures():
        large = np.repeat(
            np.repeat(picture.read(), 2, 0), 2, 1
        )  # boxes are told in pixels of the picture that is given
        found = detector.detect([picture.read(), large])
        assert [names.classes[0] for names in found] == picture.classes.tolist() * 2
        np.testing.assert_allclose(found[0].boxes_xyxy[0], picture.boxes_xyxy[0], atol=4)
        np.testing.assert_allclose(found[1].boxes_xyxy[0], 2 * picture.boxes_xyxy[0], atol=8)
        assert found[0].scores[0] > 0.5


@pytest.mark.parametrize("model", ["fcos-small", "fasterrcnn-mobilenet"])
def test_a_training_taken_up_again_ends_with_the_same_bits(tmp_path: Path, model: str) -> None:
    size = 64 if model == "fcos-small" else 128  # from there its samplers have to choose among the anchors
    config = SMALL.model_copy(update={"image_px": size, "log_every": 1, "checkpoint_every": 1})
    plan = replace(PLAN, model=model, config=config, size_hw=(size, size), iterations=3)
    train(tmp_path / "whole", plan)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "broken", plan, stop=2)
    torch.rand(7)  # what else was drawn meanwhile plays no part
    assert train(tmp_path / "broken", plan) == [2, 3]

    assert (tmp_path / "broken" / DETECTOR_FILE).read_bytes() == (tmp_path / "whole" / DETECTOR_FILE).read_bytes()


def test_loader_processes_change_nothing(tmp_path: Path) -> None:
    def weights(workers: int) -> bytes:
        folder = tmp_path / str(workers)
        train(folder, replace(PLAN, loader_workers=workers, iterations=2))
        return load_file(folder / DETECTOR_FILE)["backbone.stem.0.0.weight"].numpy().tobytes()

    assert weights(1) == weights(0)


@pytest.mark.parametrize("model", DETECTORS)
def test_boxes_and_losses_are_of_float32_in_bf16_too(model: str) -> None:
    network: Any = build_detector(model, 2, SMALL).eval()
    two_stages = hasattr(network, "rpn")
    heads = [network.rpn.head, network.roi_heads.box_predictor] if two_stages else [network.head]
    anchors = network.rpn.anchor_generator if two_stages else network.anchor_generator
    told: list[torch.Tensor] = []
    places: list[list[torch.Tensor]] = []
    for head in heads:
        head.register_forward_hook(lambda _, __, outputs: told.extend(tensors_in(outputs)))
    anchors.register_forward_hook(lambda _, __, outputs: places.append(tensors_in(outputs)))
    wide = [torch.rand(3, 64, 1152)]  # beyond 512, bfloat16 tells every fourth number only
    with torch.no_grad():
        network(wide)
        told.clear()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            network(wide)
    assert len(told) >= 2
    assert {tensor.dtype for tensor in told} == {torch.float32}
    exact, halved = places
    assert all(torch.equal(one, other) for one, other in zip(exact, halved, strict=True))


def tensors_in(outputs: Any) -> list[torch.Tensor]:
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [one for value in (outputs.values() if isinstance(outputs, dict) else outputs) for one in tensors_in(value)]


def test_a_training_found_at_its_end_still_tells_what_it_took(tmp_path: Path) -> None:
    first = train_detector_network(
        build_detector(PLAN.model, 2, SMALL), pictures(), PLAN, folder=tmp_path, record=ignore, progress=NullProgress()
    )
    again = train_detector_network(
        build_detector(PLAN.model, 2, SMALL), pictures(), PLAN, folder=tmp_path, record=ignore, progress=NullProgress()
    )

    assert again == first
    assert first.seconds > 0
    assert first.losses.keys() == {"bbox_ctrness", "bbox_regression", "classification"}


def test_the_kept_weights_are_the_average(tmp_path: Path) -> None:
    train(tmp_path)
    kept = load_file(tmp_path / DETECTOR_FILE)
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)

    assert all(torch.equal(tensor, state["average"][name]) for name, tensor in kept.items())
    assert any(not torch.equal(tensor, state["network"][name]) for name, tensor in kept.items())


def test_the_rate_rises_then_falls() -> None:
    rates = [learning_rate(step, 100, SMALL) for step in range(100)]

    assert rates.index(max(rates)) == 5
    assert rates[:6] == sorted(rates[:6])
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert max(rates) == pytest.approx(SMALL.learning_rate)
    assert rates[-1] < 0.02 * max(rates)


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from garbage_synth.detect import training

    def broken(network: torch.nn.Module, *_: object) -> dict[str, torch.Tensor]:
        weight = next(network.parameters())
        return {"fine": weight.sum(), "classification": weight.sum() * float("nan")}

    monkeypatch.setattr(training, "_losses", broken)
    with pytest.raises(
        GarbageSynthError, match="iteration 2: classification.* is not finite; try a smaller learning rate"
    ):
        train(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("model", sorted(DETECTORS))
def test_every_detector_trains_on_pictures_with_and_without_items_and_answers(model: str) -> None:
    from garbage_synth.detect.detector import Detector, DetectorCard
    from garbage_synth.detect.samples import Sample
    from garbage_synth.detect.training import _losses

    network = build_detector(model, 2, SMALL).train()
    picture = torch.randint(0, 255, (3, 64, 96), dtype=torch.uint8)
    batch = [
        Sample(picture, torch.tensor([[4.0, 4, 40, 50]]), torch.tensor([1])),
        Sample(picture, torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64)),
    ]
    loss = torch.stack(list(_losses(network, training._together(batch), replace(PLAN, model=model)).values())).sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert all(value.grad is not None for value in network.parameters())

    detector = Detector(network, DetectorCard(model, ("box", "can"), 1, SMALL), CPU)
    for found in detector.detect([np.zeros((50, 80, 3), np.uint8), np.zeros((100, 60, 3), np.uint8)]):
        assert set(found.classes.tolist()) <= {0, 1}


def test_what_is_found_does_not_depend_on_the_other_pictures() -> None:
    from garbage_synth.detect.detector import Detector, DetectorCard

    torch.manual_seed(0)
    detector = Detector(
        build_detector("fcos-small", 2, SMALL), DetectorCard("fcos-small", ("box", "can"), 1, SMALL), CPU
    )
    rng = np.random.default_rng(0)
    some = [rng.integers(0, 255, (*size, 3), np.uint8) for size in ((48, 64), (64, 30), (48, 64), (200, 90))]

    together = detector.detect(some)
    for one, found in zip(some, together, strict=True):
        alone = detector.detect([one])[0]
        np.testing.assert_allclose(alone.boxes_xyxy, found.boxes_xyxy, atol=1e-3)
        np.testing.assert_allclose(alone.scores, found.scores, atol=1e-5)
        height, width = one.shape[:2]
        assert (found.boxes_xyxy <= [width, height, width, height]).all()


def test_weights_are_taken_where_names_and_shapes_fit(tmp_path: Path) -> None:
    given, other = build_detector("fcos-small", 2, SMALL), build_detector("fcos-small", 3, SMALL)
    save_file(given.state_dict(), tmp_path / "w.safetensors")
    torch.save(given.backbone.state_dict(), tmp_path / "backbone.pth")

    taken, of_all = take_weights(other, tmp_path / "w.safetensors")
    assert of_all - taken == 2  # weight and bias of the layer that knows the classes
    assert torch.equal(other.backbone.stem[0][0].weight, given.backbone.stem[0][0].weight)
    assert take_weights(build_detector("fcos-small", 3, SMALL), tmp_path / "backbone.pth")[0] == len(
        given.backbone.state_dict()
    )


def test_weights_that_do_not_fit_are_refused_by_name(tmp_path: Path) -> None:
    network = build_detector("fcos-small", 2, SMALL)
    save_file({"x": torch.zeros(1)}, tmp_path / "w.safetensors")
    (tmp_path / "text.pth").write_text("no weights")

    with pytest.raises(InputError, match=r"w\.safetensors: no tensor fits"):
        take_weights(network, tmp_path / "w.safetensors")
    with pytest.raises(InputError, match=r"text\.pth cannot be read"):
        take_weights(network, tmp_path / "text.pth")


def test_a_folder_without_a_detector_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no detector\.safetensors"):
        load_detector(tmp_path, CPU)
    (tmp_path / DETECTOR_FILE).write_bytes(b"x" * 40)
    with pytest.raises(InputError, match="cannot be used"):
        load_detector(tmp_path, CPU)
