"""The search for an item on its board: light, edges, shadows, parts."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from garbage_synth.config.segment import SegmentConfig
from garbage_synth.segment.backend import Found, Photo, Rejection
from garbage_synth.segment.board import estimate_board, frame_ring, log_rgb, smooth_fill
from garbage_synth.segment.complete import box_agreement
from garbage_synth.segment.cut import cheapest_cut
from garbage_synth.segment.evidence import reachable
from garbage_synth.segment.grabcut import find_on_board
from garbage_synth.segment.judge import single_item, touches_frame
from garbage_synth.segment.likeness import fill_holes, opened
from garbage_synth.segment.silhouette import find_outline

SIZE_HW = (192, 256)


def disc_mask(centre_xy: tuple[int, int] = (128, 96), radius: int = 45) -> NDArray[np.bool_]:
    y, x = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    return np.asarray(np.hypot(x - centre_xy[0], y - centre_xy[1]) < radius, np.bool_)


def board(seed: int = 0) -> NDArray[np.float32]:
    """A pale board in uneven light, float32 (h, w, 3) in 0..255, without its grain."""
    light = np.linspace(1.0, 0.8, SIZE_HW[1])[None, :, None] * np.linspace(0.95, 1.0, SIZE_HW[0])[:, None, None]
    return (light * np.array([226, 222, 212])).astype(np.float32)


def photograph(picture: NDArray[np.float32], seed: int = 0) -> NDArray[np.uint8]:
    grain = np.random.default_rng(seed).normal(0, 1.2, picture.shape)
    return np.clip(np.rint(cv2.GaussianBlur(picture, (0, 0), 0.6) + grain), 0, 255).astype(np.uint8)


def with_shadow(picture: NDArray[np.float32], mask: NDArray[np.bool_], depth: float = 0.35) -> NDArray[np.float32]:
    moved = np.roll(mask, (10, 14), (0, 1)).astype(np.float32)
    return picture * (1 - depth * cv2.GaussianBlur(moved, (0, 0), 7)[..., None])


def iou(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    return float((first & second).sum() / (first | second).sum())


def test_the_board_is_known_beneath_an_item_and_despite_dirt_on_the_rim() -> None:
    truth = board()
    picture = truth.copy()
    picture[disc_mask(radius=60)] = (40, 60, 160)
    picture[:20, :40] = (70, 50, 40)
    found = estimate_board(log_rgb(photograph(picture)), frame_ring(SIZE_HW))
    assert np.abs(found.field - log_rgb(truth.astype(np.uint8)))[60:130, 80:180].max() < 0.03
    assert found.light_sigma < 0.03


def test_smooth_fill_continues_what_is_known() -> None:
    values = np.full((40, 50, 1), 7.0, np.float32)
    known = np.zeros((40, 50), np.bool_)
    known[:, :5] = True
    values[~known] = 99
    assert smooth_fill(values, known, 0.0) == pytest.approx(7.0)
    values[5, 3] = 8.0
    assert smooth_fill(values, known, 0.0)[5, 3, 0] == pytest.approx(8.0)


def test_walkers_do_not_pass_gaps_narrower_than_themselves() -> None:
    barrier = np.zeros((40, 40), np.bool_)
    barrier[10, 10:30] = barrier[30, 10:30] = barrier[10:31, 10] = barrier[10:31, 30] = True
    barrier[10, 18:21] = False
    start = np.zeros_like(barrier)
    start[0] = True
    assert reachable(barrier, start, gap_px=0)[20, 20]
    kept_out = reachable(barrier, start, gap_px=2)
    assert not kept_out[20, 20]
    assert kept_out[35, 35]


def test_the_cheapest_cut_runs_along_the_edge_and_ignores_specks() -> None:
    inside = np.zeros((60, 60), np.bool_)
    inside[20:40, 15:45] = True
    price = np.ones((60, 60), np.float32)
    ring = cv2.morphologyEx(inside.astype(np.uint8), cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    price[ring] = 0.02
    cost = np.where(inside, -0.3, 0.3).astype(np.float32)
    cost[25:28, 20:40] = 0.3  # a scratch across the item
    cost[5, 5] = -0.3  # a speck beside it
    found = cheapest_cut(cost, price, (cost < 0).astype(np.float32), 300) > 0.5
    assert iou(found, inside) > 0.95


def test_a_soft_shadow_is_not_the_item() -> None:
    mask = disc_mask()
    picture = with_shadow(board(), mask)
    picture[mask] = (150, 90, 50)
    assert iou(find_outline(photograph(picture), None).mask, mask) > 0.96


def test_an_item_of_the_boards_colour_is_found_by_its_outline() -> None:
    mask = disc_mask()
    picture = board()
    rim = mask & ~disc_mask(radius=42)
    picture[rim] *= 0.8
    assert iou(find_outline(photograph(picture), None).mask, mask) > 0.9


def test_white_paper_on_a_pale_board_is_found() -> None:
    mask = np.zeros(SIZE_HW, np.bool_)
    mask[50:140, 70:190] = True
    picture = with_shadow(board(), mask, 0.2)
    picture[mask] = board()[mask] * 1.06
    assert iou(find_outline(photograph(picture), None).mask, mask) > 0.85


def test_a_groove_across_the_board_is_left_out() -> None:
    mask = disc_mask()
    picture = board()
    picture[94:98] *= 0.75
    picture[mask] = (60, 120, 60)
    assert iou(find_outline(photograph(picture), None).mask, mask) > 0.94


def test_a_known_box_keeps_a_second_thing_out() -> None:
    mask = disc_mask((90, 96), 35)
    picture = board()
    picture[mask] = (60, 120, 60)
    picture[disc_mask((210, 60), 25)] = (160, 60, 60)
    found = find_on_board(Photo(photograph(picture), box_xyxy=(55, 61, 126, 132)), SegmentConfig())
    assert isinstance(found, Found)
    assert iou(found.alpha >= 0.5, mask) > 0.95
    alone = find_on_board(Photo(photograph(picture)), SegmentConfig())
    assert isinstance(alone, Rejection)
    assert alone.reason == "several items"


def test_an_item_that_does_not_fill_its_box_is_rejected() -> None:
    picture = board()
    picture[disc_mask((90, 96), 20)] = (60, 120, 60)
    found = find_on_board(Photo(photograph(picture), box_xyxy=(60, 20, 230, 170)), SegmentConfig())
    assert isinstance(found, Rejection)
    assert "agreement with its box" in found.detail


def test_parts_close_by_are_one_item_and_crumbs_are_none() -> None:
    mask = disc_mask((100, 96), 30)
    near, crumb = disc_mask((145, 96), 10), disc_mask((240, 20), 4)
    found = single_item(mask | near | crumb, SegmentConfig(), box_known=False)
    assert not isinstance(found, Rejection)
    assert (found == (mask | near)).all()
    empty = single_item(np.zeros(SIZE_HW, np.bool_), SegmentConfig(), box_known=False)
    assert isinstance(empty, Rejection)


def test_touching_the_frame_needs_more_than_a_pixel() -> None:
    mask = disc_mask()
    mask[0, 10:12] = True
    assert not touches_frame(mask)
    mask[0, 10:20] = True
    assert touches_frame(mask)


def test_box_agreement_compares_extents() -> None:
    mask = np.zeros((10, 20), np.bool_)
    mask[2:6, 5:15] = True
    assert box_agreement(mask, None) == 1
    assert box_agreement(mask, (5, 2, 15, 6)) == 1
    assert box_agreement(mask, (5, 2, 15, 10)) == pytest.approx(0.5)
    assert box_agreement(mask, (16, 7, 20, 10)) == 0


def test_holes_are_filled_and_hair_is_cut() -> None:
    mask = np.zeros((40, 40), np.bool_)
    mask[10:30, 10:30] = True
    mask[18:22, 18:22] = False
    assert fill_holes(mask)[20, 20]
    assert not fill_holes(mask, 0.01)[20, 20]
    mask[20, 30:38] = True
    assert not opened(mask, 2)[20, 35]
