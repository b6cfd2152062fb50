"""Belts fitted to a frame."""

import numpy as np
import pytest

from garbage_synth.composite.belt import belt_mask, fit_belt, fit_pixels
from garbage_synth.errors import InputError
from tests.composite.scenes import background


def test_belt_without_sidecar_is_the_whole_frame() -> None:
    view = fit_belt(background(), None)
    assert view.size_wh == (160, 120)
    assert belt_mask(view, 4).all()
    assert view.mm_per_px is None


def test_size_covers_and_crops_about_the_centre_and_polygon_and_scale_follow() -> None:
    belt = background((200, 100), polygon_px=((50, 20), (150, 20), (150, 80), (50, 80)), belt_mm_per_px=3.0)
    view = fit_belt(belt, (200, 200))  # twice as large, 100 cut off left and right
    assert view.scale == 2.0
    assert view.offset_xy_px == (-100.0, 0.0)
    assert view.polygon_px == ((0, 40), (200, 40), (200, 160), (0, 160))
    assert view.mm_per_px == 1.5


def test_pixels_are_never_stretched() -> None:
    photo = np.zeros((100, 200, 3), np.uint8)
    photo[40:60, 90:110] = 255  # a square in the middle
    pixels = fit_pixels(photo, fit_belt(background((200, 100)), (100, 100)))
    assert pixels.image_rgb.shape == (100, 100, 3)
    bright = np.argwhere(pixels.image_rgb[..., 0] > 127)
    assert (bright.min(axis=0) == (40, 40)).all()
    assert (bright.max(axis=0) == (59, 59)).all()
    larger = fit_pixels(photo, fit_belt(background((200, 100)), (303, 300)))
    bright = np.argwhere(larger.image_rgb[..., 0] > 127)
    assert larger.image_rgb.shape == (300, 303, 3)
    assert np.abs(np.ptp(bright, axis=0) + 1 - 60).max() <= 2


def test_polygon_corners_near_the_frame_edge_mean_the_edge() -> None:
    view = fit_belt(background((200, 100), polygon_px=((3, 30), (198, 30), (197, 70), (2, 70))), None)
    mask = belt_mask(view, 2)
    assert mask[25].all()
    assert not mask[5].any()


def test_polygon_outside_what_is_cropped_is_refused_by_name() -> None:
    belt = background((400, 100), name="side", polygon_px=((10, 10), (60, 10), (60, 90), (10, 90)))
    with pytest.raises(InputError, match=r"side\.jpg"):
        fit_belt(belt, (100, 100))


def test_light_field_follows_the_belt_and_not_what_lies_beside_it() -> None:
    photo = np.full((160, 320, 3), 40, np.uint8)
    photo[:, 160:] = 120
    photo[:48] = 255
    belt = background((320, 160), polygon_px=((0, 48), (320, 48), (320, 160), (0, 160)))
    pixels = fit_pixels(photo, fit_belt(belt, None))
    assert pixels.field_small.shape == (10, 20)
    assert pixels.field_small[6, 1] < 0.8 < 1.2 < pixels.field_small[6, 18]
    assert pixels.lab_small[4, 18, 0] < 60  # the white strip above would be 100


def test_two_measured_scales_make_the_perspective() -> None:
    belt = background((200, 100), mm_per_px_at=((100, 0, 2.0), (100, 100, 1.0)))
    view = fit_belt(belt, (400, 200))
    # pixels per millimetre: 0.5 at the top, 1.0 at the bottom, so 0.75 in the middle; twice that in the frame
    assert view.mm_per_px == pytest.approx(1 / 1.5)
    assert view.zoom_at(0, 0) == pytest.approx(0.5 / 0.75)
    assert view.zoom_at(400, 200) == pytest.approx(1 / 0.75)
    assert view.zoom_at(200, 100) == pytest.approx(1.0)
    assert view.zoom_at(50, 900) == view.zoom_at(300, 200)  # beyond the frame as at its edge


def test_three_measured_scales_make_a_plane() -> None:
    belt = background((200, 100), mm_per_px_at=((0, 0, 1.0), (200, 0, 0.5), (0, 100, 0.8)))
    view = fit_belt(belt, None)
    for x, y, mm in belt.mm_per_px_at:
        assert view.mm_per_px is not None
        assert view.mm_per_px / view.zoom_at(x, y) == pytest.approx(mm)


def test_three_clicks_along_one_line_make_no_slope_across_it() -> None:
    for aside in (0, 2, 20):
        points = ((640, 0, 1.0), (640 + aside, 360, 0.8), (640, 720, 0.62))
        view = fit_belt(background((1280, 720), mm_per_px_at=points), None)
        assert view.zoom_at(0, 360) == pytest.approx(view.zoom_at(1280, 360), abs=0.03)
        assert view.zoom_at(640, 0) == pytest.approx(0.77, abs=0.03)


def test_scales_that_run_to_nothing_are_refused() -> None:
    for points in (((100, 0, 9.0), (100, 50, 1.0)), ((0, 0, 1.0), (10, 0, 9.0))):
        with pytest.raises(InputError, match="mm_per_px_at"):
            fit_belt(background((200, 100), mm_per_px_at=points), None)
