"""Do the labels of a picture still hold after a generator rewrote it? Pixels in, verdicts out."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from garbage_synth.config.fidelity import FidelityConfig
from garbage_synth.core.masks import box_of_mask
from garbage_synth.fidelity.evidence import ItemSignal, item_signal
from garbage_synth.fidelity.flow import consistent_flow, local_contrast, luminance
from garbage_synth.fidelity.invented import find_invented
from garbage_synth.fidelity.motion import Similarity, fit_similarity
from garbage_synth.fidelity.verdicts import Box, FrameVerdict, Label, Verdict

__all__ = ["LabelCheck"]

GRAIN_SIGMA_PX = 1.0  # smoothing before pixels are compared
MIN_PIXELS = 12  # with consistent motion, from which a motion is fitted
MAX_PIXELS = 5_000  # that one fit takes
CLEARLY = 0.01  # likeness that a motion must gain over standing still


@dataclass(frozen=True, slots=True)
class LabelCheck:
    """(picture before, picture after, labels) -> FrameVerdict. A picklable task; a function of its arguments alone."""

    config: FidelityConfig = field(default_factory=FidelityConfig)

    def __call__(
        self, before_rgb: NDArray[np.uint8], after_rgb: NDArray[np.uint8], labels: Sequence[Label]
    ) -> FrameVerdict:
        """The verdict on a picture and its rewriting, both RGB uint8 (h, w, 3), and on each label, in their order.

        Raises ValueError where the pictures differ in size, or a label has a mask of another size.
        """
        if before_rgb.shape != after_rgb.shape:
            raise ValueError(f"pictures differ in shape: {before_rgb.shape} before, {after_rgb.shape} after")
        config = self.config
        before, after = luminance(before_rgb), luminance(after_rgb)
        flow, error = consistent_flow(
            local_contrast(before, config.contrast_sigma_px), local_contrast(after, config.contrast_sigma_px)
        )
        believed = error < config.flow_error_px
        smooth_before, smooth_after = (
            np.asarray(cv2.GaussianBlur(gray, (0, 0), GRAIN_SIGMA_PX), np.float32) for gray in (before, after)
        )
        verdicts, taken = [], np.zeros(before.shape, np.bool_)
        for label in labels:
            mask = label.filled(before.shape)
            if box_of_mask(mask) is None:
                verdicts.append(Verdict("dropped", 0.0, 0.0, 0.0, 0.0, label.box_xyxy))
                continue
            item = item_signal(smooth_before, mask, config)
            motion, q = _motion(item, flow, believed, smooth_after, config)
            verdicts.append(_judge(label, mask, item, motion, q, smooth_after, config))
            taken |= mask
            taken |= motion.carry(mask)
        dropped = sum(verdict.status == "dropped" for verdict in verdicts)
        rejected = bool(verdicts) and dropped > config.reject_above * len(verdicts)
        side = 2 * config.invented.margin_px + 1
        free = cv2.dilate(taken.astype(np.uint8), np.ones((side, side), np.uint8)) == 0
        invented = find_invented(before, after, np.asarray(free), config.invented)
        return FrameVerdict("rejected" if rejected else "kept", tuple(verdicts), invented)


def _motion(
    item: ItemSignal,
    flow: NDArray[np.float32],
    believed: NDArray[np.bool_],
    after: NDArray[np.float32],
    config: FidelityConfig,
) -> tuple[Similarity, float]:
    """The item's motion, none where standing still explains the picture as well, and its part of believed pixels."""
    x0, y0, x1, y1 = item.window
    sure = item.region & believed[y0:y1, x0:x1]
    area = int(item.region.sum())
    q = float(sure.sum()) / area
    still = Similarity()
    if sure.sum() < MIN_PIXELS:
        return still, q
    stride = -(-int(sure.sum()) // MAX_PIXELS)
    places = np.argwhere(sure)[::stride]
    rows, columns = places.T
    motion = fit_similarity(
        (places[:, ::-1] + (x0, y0)).astype(np.float64),
        flow[y0:y1, x0:x1][rows, columns].astype(np.float64),
        item.weight[rows, columns].astype(np.float64) + 1e-3,
        shift_only=area < config.similarity_from_px,
    )
    middle = (x0 + x1) / 2, (y0 + y1) / 2
    believable = (
        motion.shift_px(*middle) <= config.max_shift_px and 1 / config.max_scaling <= motion.scale <= config.max_scaling
    )
    if not believable:
        return still, q
    gain = item.likeness(motion.fetch(after, item.window)).e - item.likeness(still.fetch(after, item.window)).e
    return (motion if gain > CLEARLY else still), q


def _judge(
    label: Label,
    mask: NDArray[np.bool_],
    item: ItemSignal,
    motion: Similarity,
    q: float,
    after: NDArray[np.float32],
    config: FidelityConfig,
) -> Verdict:
    likeness = item.likeness(motion.fetch(after, item.window))
    drawn = item.drawn(likeness)
    part = float(drawn.sum()) / float(item.mask.sum())
    rows, columns = np.nonzero(item.mask)
    shift = motion.shift_px(item.window[0] + float(columns.mean()), item.window[1] + float(rows.mean()))
    dropped = Verdict("dropped", q, likeness.e, part, shift, label.box_xyxy)
    if likeness.e < config.min_likeness or part < config.min_drawn:
        return dropped
    whole = part >= config.whole_drawn
    left = mask
    if not whole:
        left = np.zeros_like(mask)
        x0, y0, x1, y1 = item.window
        left[y0:y1, x0:x1] = drawn
    moved = motion.carry(left)
    box, box_before = box_of_mask(moved), box_of_mask(mask)
    if box is None or box_before is None:  # moved out of the frame
        return dropped
    if whole and _iou(box, box_before) >= config.unchanged_iou:
        return replace(dropped, status="accepted")
    return replace(
        dropped, status="adjusted", box_xyxy=box, mask=None if label.mask is None else moved, trimmed=not whole
    )


def _iou(first: Box, second: Box) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    common = max(0.0, width) * max(0.0, height)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return common / (areas - common) if areas > common else 0.0
