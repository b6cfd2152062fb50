"""Edges: alpha, and colours without the board."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from garbage_synth.config.segment import SegmentConfig
from garbage_synth.segment.backend import Found, Photo, Rejection
from garbage_synth.segment.finish import finish
from garbage_synth.segment.given import find_by_alpha, find_by_label, find_by_mask
from garbage_synth.segment.matte import cut_out_rgba, refine_alpha, signed_distance
from garbage_synth.segment.methods import auto_method
from garbage_synth.segment.sheet import contact_sheet

ITEM, BOARD = np.float32([30, 70, 160]), np.float32([230, 226, 215])


def scene(blur_px: float = 0.8) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.bool_]]:
    """(picture, its true alpha, its true silhouette) of a dark ellipse on a pale board, 120x160."""
    fine = np.zeros((480, 640), np.uint8)
    cv2.ellipse(fine, (320, 240), (200, 120), 15, 0, 360, 255, -1)
    cover = cv2.resize(fine, (160, 120), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    alpha = cv2.GaussianBlur(cover, (0, 0), blur_px).astype(np.float32)
    picture = alpha[..., None] * ITEM + (1 - alpha[..., None]) * BOARD
    return np.rint(picture).astype(np.uint8), alpha, cover >= 0.5


def found(result: Found | Rejection) -> Found:
    assert isinstance(result, Found), result
    return result


def test_alpha_follows_the_colours_of_the_edge() -> None:
    picture, alpha, mask = scene()
    refined = refine_alpha(picture, signed_distance(mask, (160, 120)), width_px=2.5)
    assert np.abs(refined - alpha).max() < 0.2
    assert np.abs(refined - alpha).mean() < 0.006


def test_alpha_mends_a_mask_that_is_a_pixel_too_wide() -> None:
    picture, _, mask = scene(0.4)
    wide = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    refined = refine_alpha(picture, signed_distance(wide, (160, 120)), width_px=2.5)
    assert ((refined >= 0.5) ^ mask).sum() < 0.2 * (wide ^ mask).sum()


def test_without_contrast_alpha_is_the_mask() -> None:
    mask = scene()[2]
    refined = refine_alpha(np.full((120, 160, 3), 200, np.uint8), signed_distance(mask, (160, 120)), width_px=2)
    assert ((refined >= 0.5) == mask).mean() > 0.999


def test_a_small_mask_grows_without_steps() -> None:
    mask = np.zeros((30, 40), np.bool_)
    mask[10:20, 10:30] = True
    large = signed_distance(mask, (160, 120)) > 0
    assert large.sum() == pytest.approx(mask.sum() * 16, rel=0.05)
    assert np.flatnonzero(large.any(1))[[0, -1]].tolist() == pytest.approx([40, 79], abs=1)


def test_edge_pixels_hold_the_items_colour_and_no_halo() -> None:
    picture, alpha, _ = scene()
    rgba = cut_out_rgba(picture, alpha)
    seen = rgba[..., 3] > 0
    assert np.abs(rgba[seen][:, :3] - ITEM).max() <= 12
    assert np.abs(rgba[~seen][:, :3].mean(0) - ITEM).max() < 12  # empty pixels too: scaling mixes them in
    dark = np.float32([20, 20, 20])
    share = rgba[..., 3:].astype(np.float32) / 255
    pasted = share * rgba[..., :3] + (1 - share) * dark
    assert (pasted.max(axis=(0, 1)) <= ITEM + 12).all()


def test_a_cut_out_keeps_its_own_colours() -> None:
    picture, alpha, _ = scene()
    rgba = cut_out_rgba(picture, alpha, keep_colours=True)
    seen = rgba[..., 3] > 0
    assert (rgba[seen][:, :3] == picture[seen]).all()


def test_a_mask_gives_a_tight_crop_of_the_true_size() -> None:
    picture, _, mask = scene()
    photo = Photo(picture, mask=mask)
    assert auto_method(photo) == "mask"
    cut = finish(photo, found(find_by_mask(photo, SegmentConfig())))
    assert cut.rgba[..., 3].any(0).all()
    assert cut.rgba[..., 3].any(1).all()
    assert (cut.rgba[..., 3] >= 128).sum() == pytest.approx(mask.sum(), rel=0.02)
    assert cut.length_px == pytest.approx(100, abs=3)


def test_a_mask_on_the_frame_or_too_small_is_rejected() -> None:
    picture, _, mask = scene()
    assert find_by_mask(Photo(picture, mask=np.roll(mask, 40, 1)), SegmentConfig()) == Rejection(
        "touches the frame", "the mask reaches the edge of the photo"
    )
    tiny = np.zeros_like(mask)
    tiny[50:60, 50:60] = True
    for finder in (find_by_mask, find_by_label):
        small = finder(Photo(picture, mask=tiny), SegmentConfig())
        assert isinstance(small, Rejection)
        assert small.reason == "too small"
    for finder in (find_by_mask, find_by_alpha, find_by_label):
        nothing = finder(Photo(picture), SegmentConfig())
        assert isinstance(nothing, Rejection)
        assert nothing.reason == "empty"


def test_alpha_that_is_opacity_keeps_the_silhouette_beside_it() -> None:
    picture, _, mask = scene()
    opacity = np.where(mask, 90, 0).astype(np.uint8)
    photo = Photo(picture, alpha=opacity, mask=mask)
    assert auto_method(photo) == "alpha"
    cut = finish(photo, found(find_by_alpha(photo, SegmentConfig())))
    assert cut.silhouette is not None
    assert cut.silhouette.sum() == mask.sum()
    assert cut.rgba[..., 3].max() == 90
    without = find_by_alpha(Photo(picture, alpha=opacity), SegmentConfig())
    assert isinstance(without, Rejection)


def test_a_label_that_holds_the_shadow_is_moved_onto_the_item() -> None:
    picture, _, mask = scene(0.5)
    noise = np.random.default_rng(0).normal(0, 2, picture.shape)
    picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    wide = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    moved = found(find_by_label(Photo(picture, mask=wide), SegmentConfig())).alpha >= 0.5
    kept = found(find_by_label(Photo(picture, mask=wide), SegmentConfig(snap_coco=False))).alpha >= 0.5
    assert (moved ^ mask).sum() < 0.3 * (kept ^ mask).sum()


def test_a_label_among_others_is_left_out() -> None:
    picture, _, mask = scene()
    others = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    covered = find_by_label(Photo(picture, mask=mask, others=others & ~mask), SegmentConfig())
    assert isinstance(covered, Rejection)
    assert covered.reason == "covered"
    aside = np.zeros_like(mask)
    aside[2:20, 2:20] = True
    assert found(find_by_label(Photo(picture, mask=mask, others=aside), SegmentConfig())).quality == 1


def test_an_empty_alpha_cannot_be_finished() -> None:
    picture, _, mask = scene()
    with pytest.raises(ValueError, match="empty"):
        finish(Photo(picture), Found(np.zeros(mask.shape, np.float32), 1.0))


def test_the_contact_sheet_shows_crops_on_dark_and_pale() -> None:
    crop = np.full((30, 60, 4), 255, np.uint8)
    crop[..., :3] = (200, 0, 0)
    clear = crop.copy()
    clear[..., 3] = 0
    sheet = contact_sheet([crop, clear], cell_px=80)
    assert sheet.shape == (80, 160, 3)
    assert sheet[40, 40].tolist() == [200, 0, 0]
    assert sheet[40, 90].max() < 60
    assert sheet[40, 150].min() > 200
