"""Where each pixel went: dense optical flow that light and colour do not disturb."""

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["consistent_flow", "local_contrast", "luminance"]

NOISE_STEPS = 2.0  # 8-bit steps added to the local contrast, so that grain on an even belt is not blown up
EIGHT_BIT_GAIN = 42.0  # three local standard deviations to either side
MIN_SIDE_PX = 64  # of the pyramid of DIS; smaller pictures are continued at their edges


def luminance(image_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The luminance, float32 (h, w), 0..255, of an RGB uint8 picture (h, w, 3)."""
    return np.asarray(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY), np.float32)


def local_contrast(gray: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """The luminance with its local mean taken away and divided by its local standard deviation, float32 (h, w).

    Both are Gaussian of sigma_px: a gain, an offset or a slow field of light leaves the result as it is.
    """
    difference = gray - _wide_blur(gray, sigma_px)
    spread = np.sqrt(_wide_blur(difference * difference, sigma_px))
    return np.asarray(difference / (spread + NOISE_STEPS), np.float32)


def consistent_flow(
    before: NDArray[np.float32], after: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(flow, error) between two pictures of local contrast, float32 (h, w).

    flow: float32 (h, w, 2), pixels (x, y) that each place of `before` moved by. error: float32 (h, w), the distance in
    pixels by which the flow back misses where it began. The flow is DIS (Kroeger, Timofte, Dai, Van Gool: Fast Optical
    Flow using Dense Inverse Search, ECCV 2016).
    """
    height, width = before.shape
    bottom, right = max(0, MIN_SIDE_PX - height), max(0, MIN_SIDE_PX - width)
    first, second = (
        cv2.copyMakeBorder(_eight_bit(contrast), 0, bottom, 0, right, cv2.BORDER_REPLICATE)
        for contrast in (before, after)
    )
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    forward = search.calc(first, second, None)  # type: ignore[call-overload]
    backward = search.calc(second, first, None)  # type: ignore[call-overload]
    y, x = np.mgrid[: forward.shape[0], : forward.shape[1]].astype(np.float32)
    returned = cv2.remap(
        backward, x + forward[..., 0], y + forward[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    error = np.linalg.norm(forward + returned, axis=2)
    return np.asarray(forward[:height, :width], np.float32), np.asarray(error[:height, :width], np.float32)


def _wide_blur(values: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    """A Gaussian blur, float32 (h, w), made on a smaller picture where sigma allows."""
    height, width = values.shape
    factor = max(1, min(int(sigma_px / 3), min(height, width) // 8))
    small_wh = -(-width // factor), -(-height // factor)
    small = cv2.resize(values, small_wh, interpolation=cv2.INTER_AREA)
    blurred = cv2.GaussianBlur(small, (0, 0), sigma_px / factor)
    return np.asarray(cv2.resize(blurred, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def _eight_bit(contrast: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(128 + EIGHT_BIT_GAIN * contrast, 0, 255), np.uint8)
