"""The detectors: torchvision's, from scratch, with one own small network that learns fast on a CPU."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torchvision.models import detection, resnet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.fcos import FCOS, FCOSHead
from torchvision.models.detection.retinanet import RetinaNet, RetinaNetHead
from torchvision.models.detection.transform import GeneralizedRCNNTransform
from torchvision.ops import Conv2dNormActivation, FeaturePyramidNetwork

from garbage_synth.config.detector import DetectorConfig
from garbage_synth.errors import InputError

__all__ = ["DETECTORS", "SIDE_MULTIPLE", "build_detector", "first_label"]

SIDE_MULTIPLE = 32
"""Sides of pictures that go in are multiples of this."""

_STRIDES = (8, 16, 32)
_GROUP_CHANNELS = 16
_FIRST_DISTANCE = 2.0  # of a box's sides from its point, in strides


class SmallBody(nn.Module):
    """Residual blocks (He et al. 2016) at strides 8, 16 and 32 and a feature pyramid (Lin et al. 2017) over them.

    Group normalisation (Wu and He 2018) throughout: its statistics are of one picture, so a batch may be small.
    float32 (b, 3, h, w), sides multiples of 32 -> {"0", "1", "2"}: (b, out_channels, h / stride, w / stride).
    """

    def __init__(self, widths: tuple[int, int, int, int, int], blocks: int, out_channels: int) -> None:
        super().__init__()
        conv = partial(Conv2dNormActivation, stride=2, norm_layer=_group_norm)
        self.stem = nn.Sequential(conv(3, widths[0]), conv(widths[0], widths[1]))
        self.stages = nn.ModuleList(_stage(inputs, outputs, blocks) for inputs, outputs in pairwise(widths[1:]))
        self.pyramid = FeaturePyramidNetwork(list(widths[2:]), out_channels)
        self.out_channels = out_channels

    def forward(self, pictures: Tensor) -> OrderedDict[str, Tensor]:
        """The pyramid's levels, finest first."""
        features: OrderedDict[str, Tensor] = OrderedDict()
        values = self.stem(pictures)
        for index, stage in enumerate(self.stages):
            values = stage(values)
            features[str(index)] = values
        levels: OrderedDict[str, Tensor] = self.pyramid(features)
        return levels


class _AsTheyAre(GeneralizedRCNNTransform):  # type: ignore[misc]  # torchvision has no types
    """Pictures come scaled and padded already: only their levels change, grey to 0.

    (torchvision's own switch against resizing is heard in training alone.)
    """

    def __init__(self) -> None:
        super().__init__(0, 0, image_mean=[0.5, 0.5, 0.5], image_std=[0.25, 0.25, 0.25])

    def resize(self, image: Tensor, target: dict[str, Tensor] | None = None) -> tuple[Tensor, dict[str, Tensor] | None]:
        """Both, unchanged."""
        return image, target


@dataclass(frozen=True, slots=True)
class _Kind:
    """first_label: the number of the first class in targets and results; 1 where 0 is the background."""

    build: Callable[[int, DetectorConfig], nn.Module]
    first_label: int


def build_detector(name: str, classes: int, config: DetectorConfig) -> nn.Module:
    """A torchvision detector with random weights that takes pictures as they are, in [0, 1], without resizing them.

    Raises InputError for an unknown name.
    """
    network: Any = _kind(name).build(classes, config)
    network.transform = _AsTheyAre()
    heads = [network.head] if hasattr(network, "head") else [network.rpn.head, network.roi_heads.box_predictor]
    for part in (network.backbone, *heads):
        part.register_forward_hook(_in_float32)
    built: nn.Module = network
    return built


def _in_float32(part: nn.Module, inputs: Any, outputs: Any) -> Any:
    """What a body or head gives, as float32: torchvision makes anchors, decodes boxes and takes losses in the type of
    these numbers, and in bfloat16 what lies beyond 512 pixels lies on a grid of 4. (Convolutions choose their own.)"""
    if isinstance(outputs, Tensor):
        return outputs.float()
    if isinstance(outputs, dict):
        return {name: _in_float32(part, inputs, value) for name, value in outputs.items()}
    return type(outputs)(_in_float32(part, inputs, value) for value in outputs)


def first_label(name: str) -> int:
    """The number of the first class in the detector's targets and results."""
    return _kind(name).first_label


def _kind(name: str) -> _Kind:
    if name not in DETECTORS:
        raise InputError(f"--model {name!r} is unknown; give {', '.join(DETECTORS)}")
    return DETECTORS[name]


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(max(1, channels // _GROUP_CHANNELS), channels)


def _stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    """Residual blocks, the first of which halves the sides."""
    shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, 2, bias=False), _group_norm(outputs))
    first = resnet.BasicBlock(inputs, outputs, 2, shortcut, norm_layer=_group_norm)
    return nn.Sequential(
        first, *(resnet.BasicBlock(outputs, outputs, norm_layer=_group_norm) for _ in range(blocks - 1))
    )


def _common(config: DetectorConfig) -> dict[str, Any]:
    return {
        "detections_per_img": config.detections_per_picture,
        "nms_thresh": config.nms_iou,
        "score_thresh": config.score_min,
    }


def _fcos_small(classes: int, config: DetectorConfig) -> nn.Module:
    """FCOS (Tian et al. 2019) on the small body: 2.2 M parameters, two convolutions a head."""
    body = SmallBody((16, 32, 64, 128, 192), blocks=2, out_channels=64)
    anchors = AnchorGenerator(tuple((stride,) for stride in _STRIDES), ((1.0,),) * len(_STRIDES))
    head = FCOSHead(body.out_channels, 1, classes, num_convs=2)
    # distances pass through a ReLU: from torchvision's start at 0 most are dead, and from random weights stay so
    nn.init.constant_(head.regression_head.bbox_reg.bias, _FIRST_DISTANCE)
    network: nn.Module = FCOS(body, classes, anchor_generator=anchors, head=head, **_common(config))
    return network


def _retinanet_resnet18(classes: int, config: DetectorConfig) -> nn.Module:
    """RetinaNet (Lin et al. 2017): ResNet-18 at strides 8 to 32, three sizes an octave from 16 pixels.

    The body has batch normalisation, so that ImageNet weights of the user's fit it; the head has group normalisation.
    """
    body = resnet_fpn_backbone(
        backbone_name="resnet18",
        weights=None,
        norm_layer=nn.BatchNorm2d,
        trainable_layers=5,
        returned_layers=[2, 3, 4],
        extra_blocks=None,
    )
    body.fpn.extra_blocks = None  # left out, it would be a coarser level by pooling
    sizes = tuple(tuple(round(2 * stride * 2 ** (octave / 3)) for octave in range(3)) for stride in _STRIDES)
    anchors = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * len(sizes))
    head = RetinaNetHead(
        body.out_channels, anchors.num_anchors_per_location()[0], classes, norm_layer=partial(nn.GroupNorm, 32)
    )
    network: nn.Module = RetinaNet(body, classes, anchor_generator=anchors, head=head, **_common(config))
    return network


def _fasterrcnn_mobilenet(classes: int, config: DetectorConfig) -> nn.Module:
    own = _common(config)
    names = {"detections_per_img": "box_detections_per_img", "nms_thresh": "box_nms_thresh"}
    names["score_thresh"] = "box_score_thresh"
    network: nn.Module = detection.fasterrcnn_mobilenet_v3_large_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=classes + 1,
        **{names.get(name, name): value for name, value in own.items()},
    )
    return network


def _ssdlite(classes: int, config: DetectorConfig) -> nn.Module:
    network: nn.Module = detection.ssdlite320_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=classes + 1, **_common(config)
    )
    return network


DETECTORS = {
    "fcos-small": _Kind(_fcos_small, 0),
    "retinanet-resnet18": _Kind(_retinanet_resnet18, 0),
    "fasterrcnn-mobilenet": _Kind(_fasterrcnn_mobilenet, 1),
    "ssdlite": _Kind(_ssdlite, 1),
}
"""The detectors by the name that --model takes."""
