"""From a recipe to pixels and labels."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from garbage_synth.composite.render import lay_out, paint, render, settle
from garbage_synth.composite.scene import Camera, Deform, Light, Look, SceneSpec
from garbage_synth.config.composite import LabelsConfig
from tests.composite.scenes import NO_LOOK, PLAIN_CAMERA, Stock, box_rgba, placed, scene
from tests.makers import belt_rgb, item_rgba

ALL = LabelsConfig(min_visible_fraction=0.0, min_visible_px=1)


def ring_rgba() -> np.ndarray:
    rgba = item_rgba(40, 40, (10, 200, 10))
    rgba[12:28, 12:28, 3] = 0
    return rgba


STOCK = Stock({"can/red": box_rgba(), "can/blue": box_rgba(colour=(20, 20, 220)), "cup/ring": ring_rgba()})


def test_empty_scene_is_the_belt() -> None:
    rendered = render(scene(), STOCK.assets)
    assert rendered.instances == ()
    assert np.array_equal(rendered.image_rgb, belt_rgb(160, 120))


def test_box_lies_exactly_where_it_was_placed() -> None:
    rendered = render(scene(placed("can/red", (60, 50))), STOCK.assets)
    (item,) = rendered.instances
    assert item.box_xyxy == (40, 35, 80, 65)
    assert item.area_px == 1200
    assert (item.visible_fraction, item.truncated, item.category, item.crop_id) == (1.0, False, "can", "can/red")
    changed = (rendered.image_rgb != belt_rgb(160, 120)).any(axis=2)
    assert np.array_equal(changed, item.mask)
    assert (rendered.image_rgb[item.mask] == (200, 40, 40)).all()


def test_turned_flipped_and_scaled_items_keep_picture_and_label_together() -> None:
    rgba = box_rgba(40, 20)
    rgba[:, :20, :3] = (250, 250, 0)  # left half yellow
    stock = Stock({"can/a": rgba})
    turned = render(scene(placed("can/a", (60, 60), angle_deg=90.0)), stock.assets)
    (item,) = turned.instances
    assert item.box_xyxy == (50, 40, 70, 80)
    assert turned.image_rgb[45, 60, 1] > 200  # turned clockwise, left comes up
    assert turned.image_rgb[75, 60, 1] < 60
    flipped = render(scene(placed("can/a", (60, 60), flipped=True, scale=2.0)), stock.assets)
    assert flipped.instances[0].box_xyxy == (20, 40, 100, 80)
    assert flipped.image_rgb[60, 90, 1] > 200
    squashed = render(scene(placed("can/a", (60, 60), squash=0.5, squash_deg=0.0)), stock.assets)
    assert squashed.instances[0].box_xyxy == (50, 50, 70, 70)


def test_higher_item_hides_the_lower_in_picture_and_label() -> None:
    rendered = render(scene(placed("can/red", (60, 60)), placed("can/blue", (80, 60))), STOCK.assets)
    low, high = rendered.instances
    assert high.visible_fraction == 1.0
    assert low.visible_fraction == 0.5
    assert low.box_xyxy == (40, 45, 60, 75)
    assert not (low.mask & high.mask).any()
    assert (rendered.image_rgb[high.mask] == (20, 20, 220)).all()


def test_what_is_seen_through_a_hole_stays_labelled() -> None:
    low, ring = render(scene(placed("can/red", (60, 60)), placed("cup/ring", (60, 60))), STOCK.assets).instances
    assert low.mask[60, 60]
    assert not ring.mask[60, 60]


def test_frame_edge_truncates() -> None:
    (item,) = render(scene(placed("can/red", (0, 60))), STOCK.assets).instances
    assert item.truncated
    assert item.box_xyxy == (0, 45, 20, 75)
    assert item.visible_fraction == 0.5


def test_item_larger_than_the_frame_covers_it() -> None:
    (item,) = render(scene(placed("can/red", (80, 60), scale=10.0)), STOCK.assets).instances
    assert item.mask.all()
    assert item.visible_fraction == pytest.approx(160 * 120 / (400 * 300), rel=1e-3)


def test_item_outside_the_frame_has_an_empty_label_that_settling_removes() -> None:
    layout = lay_out(scene(placed("can/red", (400, 60)), placed("can/blue", (60, 60))), STOCK.assets)
    assert layout.visible[0].area_px == 0
    settled = settle(layout, ALL)
    assert [placement.crop_id for placement in settled.spec.placements] == ["can/blue"]
    assert settled.spec.removed == 1
    assert paint(layout, STOCK.assets).shape == (120, 160, 3)


def test_crop_of_one_pixel_is_drawn() -> None:
    stock = Stock({"can/dot": box_rgba(1, 1)})
    rendered = render(scene(placed("can/dot", (60.5, 60.5))), stock.assets)
    assert rendered.instances[0].box_xyxy == (60, 60, 61, 61)
    assert (rendered.image_rgb[60, 60] == (200, 40, 40)).all()


def test_see_through_item_shows_the_belt_but_owns_its_silhouette() -> None:
    mask = np.zeros((30, 40), np.bool_)
    mask[:, 5:35] = True
    stock = Stock({"cup/clear": box_rgba(alpha=102), "can/red": box_rgba()}, {"cup/clear": mask})
    spec = scene(placed("can/red", (60, 60)), placed("cup/clear", (60, 60)))
    low, high = render(spec, stock.assets).instances
    assert high.box_xyxy == (45, 45, 75, 75)
    assert low.visible_fraction == 0.25
    alone = render(scene(placed("cup/clear", (60, 60))), stock.assets).image_rgb[60, 60].astype(float)
    belt = belt_rgb(160, 120)[60, 60].astype(float)
    assert np.abs(alone - (0.4 * np.array([200, 40, 40]) + 0.6 * belt)).max() <= 1.5


def test_settling_takes_the_least_visible_first_and_looks_again() -> None:
    # The middle item is hidden by the top one and itself hides the lowest; with it gone, the lowest is seen.
    spec = scene(
        placed("can/red", (50, 60)),
        placed("can/blue", (58, 60)),
        placed("can/red", (60, 60)),
        placed("can/red", (120, 60)),
    )
    settled = settle(lay_out(spec, STOCK.assets), LabelsConfig(min_visible_fraction=0.2, min_visible_px=1))
    assert [placement.center_xy_px for placement in settled.spec.placements] == [(50, 60), (60, 60), (120, 60)]
    assert settled.spec.removed == 1
    again = lay_out(settled.spec, STOCK.assets)
    assert [visible.area_px for visible in again.visible] == [visible.area_px for visible in settled.visible]


def test_kept_hidden_items_are_painted_without_a_label() -> None:
    spec = scene(placed("can/red", (40, 60)), placed("can/blue", (41, 60)))
    labels = LabelsConfig(hidden="keep", min_visible_fraction=0.2)
    settled = settle(lay_out(spec, STOCK.assets), labels)
    assert [placement.labelled for placement in settled.spec.placements] == [False, True]
    rendered = render(settled.spec, STOCK.assets)
    assert [item.crop_id for item in rendered.instances] == ["can/blue"]
    assert (rendered.image_rgb[60, 20] == (200, 40, 40)).all()


def test_shadow_darkens_the_belt_away_from_the_light_only() -> None:
    light = Light(shadow_deg=0.0, elevation_deg=45.0, softness=0.1, cast_strength=0.5, contact_strength=0.0)
    spec = scene(placed("can/red", (80, 60), height_px=20.0), light=light)
    image = render(spec, STOCK.assets).image_rgb.astype(float)
    belt = belt_rgb(160, 120).astype(float)
    assert image[50:70, 104:112].mean() < 0.65 * belt[50:70, 104:112].mean()
    assert image[50:70, 40:56].mean() > 0.97 * belt[50:70, 40:56].mean()
    assert np.array_equal(image[:20], belt[:20])


def test_shadow_falls_on_lower_items_and_not_on_its_own() -> None:
    light = Light(shadow_deg=180.0, elevation_deg=45.0, softness=0.1, cast_strength=0.5, contact_strength=0.4)
    spec = scene(placed("can/red", (60, 60)), placed("can/blue", (90, 60), height_px=12.0), light=light)
    image = render(spec, STOCK.assets).image_rgb
    assert image[60, 64, 0] < 150
    assert (image[50:70, 75:105] == (20, 20, 220)).all()


def test_soft_edge_fades_inwards_only() -> None:
    hard = render(scene(placed("can/red", (60, 60))), STOCK.assets).image_rgb
    soft = render(scene(placed("can/red", (60, 60), feather_px=1.0)), STOCK.assets).image_rgb
    outside = np.ones((120, 160), np.bool_)
    outside[45:75, 40:80] = False
    assert np.array_equal(hard[outside], soft[outside])
    assert soft[60, 40, 0] < 170
    assert (soft[60, 60] == (200, 40, 40)).all()


def test_items_move_towards_the_light_of_the_belt() -> None:
    white = Stock({"can/white": box_rgba(colour=(250, 250, 250))})
    look = Look(match_lightness=0.3, match_colour=0.0, follow_field=0.0)
    image = render(scene(placed("can/white", (60, 60)), look=look), white.assets).image_rgb
    assert 180 < image[60, 60, 1] < 225


def test_items_follow_the_light_field() -> None:
    look = Look(match_lightness=0.0, match_colour=0.0, follow_field=1.0)
    belt = Stock({"can/a": box_rgba(150, 30)})  # the belt is darker on the left
    image = render(scene(placed("can/a", (80, 60)), look=look), belt.assets).image_rgb
    assert image[60, 12, 0] + 15 < image[60, 145, 0]


def test_exposure_is_a_factor() -> None:
    image = render(scene(placed("can/red", (60, 60), exposure=1.1)), STOCK.assets).image_rgb
    assert (image[60, 60] == (220, 44, 44)).all()


@pytest.mark.parametrize("hue_deg", [-120.0, 40.0, 120.0])
def test_a_turned_hue_keeps_lightness_and_greys(hue_deg: float) -> None:
    stock = Stock({"can/green": box_rgba(40, 40, (100, 140, 110)), "can/grey": box_rgba(40, 40, (130, 130, 130))})
    image = render(
        scene(placed("can/green", (40, 60), hue_deg=hue_deg), placed("can/grey", (110, 60), hue_deg=hue_deg)),
        stock.assets,
    ).image_rgb
    before, after = np.array([100, 140, 110]), image[60, 40].astype(int)
    assert np.abs(after - before).max() > 15
    assert abs(float((after - before) @ [0.299, 0.587, 0.114])) < 1.5
    assert (np.abs(image[60, 110].astype(int) - 130) <= 1).all()


def test_a_turned_item_takes_on_the_belts_light_as_one_of_its_colour_does() -> None:
    look = Look(match_lightness=0.5, match_colour=0.3, follow_field=0.0)
    red = Stock({"can/a": box_rgba(40, 40, (200, 60, 60))})
    turned = render(scene(placed("can/a", (60, 60), hue_deg=100.0)), red.assets).image_rgb[60, 60]
    fitted = render(scene(placed("can/a", (60, 60), hue_deg=100.0), look=look), red.assets).image_rgb[60, 60]

    own = Stock({"can/a": box_rgba(40, 40, turned.tolist())})
    expected = render(scene(placed("can/a", (60, 60)), look=look), own.assets).image_rgb[60, 60]
    np.testing.assert_allclose(fitted.astype(int), expected.astype(int), atol=2)


@pytest.mark.parametrize(
    ("camera", "differs"),
    [
        (Camera((1.0, 1.0, 1.0), 3.0, (5, 9), 0.0, 0.0, 0.0, 95), 3.0),
        (Camera((0.9, 1.0, 1.0), 0.0, (0, 0), 0.0, 0.0, 0.0, 95), None),
        (Camera((1.0, 1.0, 1.0), 0.0, (0, 0), 3.0, 30.0, 0.7, 95), None),
    ],
)
def test_camera_changes_the_picture_and_not_the_labels(camera: Camera, differs: float | None) -> None:
    spec = scene(placed("can/red", (60, 60)), camera=camera)
    plain = render(scene(placed("can/red", (60, 60))), STOCK.assets)
    rendered = render(spec, STOCK.assets)
    assert np.array_equal(rendered.instances[0].mask, plain.instances[0].mask)
    difference = rendered.image_rgb.astype(float) - plain.image_rgb
    assert np.abs(difference).max() > 2
    if differs:
        assert difference.std() == pytest.approx(differs, rel=0.15)
        assert abs(difference.mean()) < 0.3


def test_vignette_takes_light_from_the_corners_alone() -> None:
    plain = render(scene(), STOCK.assets).image_rgb.astype(float)
    camera = replace(PLAIN_CAMERA, vignette=0.5)
    dark = render(scene(camera=camera), STOCK.assets).image_rgb.astype(float)
    assert dark[0, 0] == pytest.approx(0.5 * plain[0, 0], abs=1)
    assert dark[60, 80] == pytest.approx(plain[60, 80], abs=1)
    assert dark[60, 0] == pytest.approx((1 - 0.5 * 0.64) * plain[60, 0], abs=1.5)


def test_highlights_fade_and_the_rest_stays() -> None:
    crop = box_rgba(colour=(90, 90, 90))
    crop[:3, :, :3] = 250
    stock = Stock({"can/a": crop})
    look = replace(NO_LOOK, specular_fade=0.5)
    plain, faded = (
        render(scene(placed("can/a", (60, 60)), look=own), stock.assets).image_rgb for own in (NO_LOOK, look)
    )
    assert (faded[60, 60] == plain[60, 60]).all()
    knee = (255 + 106) / 2  # halfway from the item's mean to white
    assert faded[46, 60, 1] == pytest.approx(knee + 0.5 * (250 - knee), abs=2)


def test_motion_blur_runs_along_the_belt() -> None:
    camera = Camera((1.0, 1.0, 1.0), 0.0, (0, 0), 5.0, 0.0, 0.0, 95)
    image = render(scene(placed("can/red", (60, 60)), camera=camera), STOCK.assets).image_rgb
    assert image[60, 38, 0] > belt_rgb(160, 120)[60, 38, 0] + 12  # to the left of the item's edge at 40
    assert image[43, 60, 0] < 100  # and not above it


def test_wide_blurs_are_as_wide_as_asked() -> None:
    step = box_rgba(100, 40, colour=(255, 255, 255))
    stock = Stock({"can/a": step})
    blurred = scene(placed("can/a", (60, 60)), camera=Camera((1.0, 1.0, 1.0), 0.0, (0, 0), 0.0, 0.0, 4.0, 95))
    image = render(blurred, stock.assets).image_rgb
    assert int(image[60, 114, 0]) > belt_rgb(160, 120)[60, 114, 0] + 12  # four pixels beyond the edge
    soft = render(scene(placed("can/a", (60, 60), feather_px=4.0)), stock.assets).image_rgb
    assert soft[60, 106, 0] < 240  # three pixels within it
    assert soft[60, 60, 0] == 255


PLACEMENTS = st.builds(
    placed,
    st.sampled_from(["can/red", "can/blue", "cup/ring"]),
    st.tuples(st.floats(-30, 190), st.floats(-30, 150)),
    scale=st.floats(0.05, 3.0),
    angle_deg=st.floats(0, 360),
    flipped=st.booleans(),
    squash=st.floats(0.5, 1.0),
    squash_deg=st.floats(0, 180),
    height_px=st.floats(0, 40),
    feather_px=st.floats(0, 2),
    blend=st.sampled_from(["none", "feather", "gaussian", "poisson", "pyramid"]),
    deform=st.none()
    | st.builds(
        Deform,
        tilt_deg=st.floats(0, 30),
        tilt_axis_deg=st.floats(0, 360),
        bend_deg=st.floats(-40, 40),
        crush=st.floats(0, 0.4),
        dents=st.lists(st.tuples(*[st.floats(-0.1, 0.1)] * 4, st.floats(0.2, 0.4)), max_size=2).map(tuple),
    ),
    labelled=st.booleans(),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(PLACEMENTS, max_size=6).map(lambda items: scene(*items, light=Light(30.0, 40.0, 0.4, 0.4, 0.5))))
def test_labels_are_what_is_visible(spec: SceneSpec) -> None:
    labels = LabelsConfig(min_visible_fraction=0.2, min_visible_px=5)
    settled = settle(lay_out(spec, STOCK.assets), labels)
    rendered = render(settled.spec, STOCK.assets)
    assert len(rendered.instances) + settled.spec.removed == sum(item.labelled for item in spec.placements)
    assert [item for item in settled.spec.placements if not item.labelled] == [
        item for item in spec.placements if not item.labelled
    ]
    taken = np.zeros((120, 160), int)
    for item in rendered.instances:
        ys, xs = np.nonzero(item.mask)
        assert item.box_xyxy == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        assert item.area_px == len(xs) >= 5
        assert 0.2 <= item.visible_fraction <= 1.0
        taken += item.mask
    assert taken.max(initial=0) <= 1


def test_render_is_pure() -> None:
    spec = scene(placed("can/red", (60, 60), angle_deg=20.0), light=Light(30.0, 40.0, 0.4, 0.4, 0.5))
    assert np.array_equal(render(spec, STOCK.assets).image_rgb, render(spec, STOCK.assets).image_rgb)


def test_pixels_are_read_once_and_forgotten_beyond_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    stock = Stock({"can/a": box_rgba(), "can/b": box_rgba()})
    for _ in range(3):
        stock.assets.level("can/a", 0)
        stock.assets.belt("belt", (160, 120))
    assert stock.reads == ["can/a"]
    monkeypatch.setattr("garbage_synth.composite.assets.CACHE_BYTES", 8000)
    stock.assets.level("can/b", 0)
    stock.assets.level("can/a", 0)
    assert stock.reads == ["can/a", "can/b", "can/a"]
    with pytest.raises(ValueError, match="fitted"):
        Stock({"can/a": box_rgba()}).assets.belt("belt", (99, 99))


@pytest.mark.parametrize("size_wh", [(1, 1), (1, 40), (3, 2), (700, 500)])
@pytest.mark.parametrize("blend", ["none", "feather", "gaussian", "poisson", "pyramid"])
@pytest.mark.parametrize(
    "deform",
    [None, Deform(tilt_deg=20.0, bend_deg=30.0, crush=0.3, dents=((0.0, -1.0, 0.0, 0.1, 0.3),))],
    ids=["rigid", "bent"],
)
def test_specks_and_crops_larger_than_the_frame(size_wh: tuple[int, int], blend: str, deform: Deform | None) -> None:
    stock = Stock({"can/a": box_rgba(*size_wh)})
    scale = 3.0 if size_wh == (1, 1) else 1.0
    spec = scene(placed("can/a", (60.5, 50.5), scale=scale, blend=blend, deform=deform, height_px=2.0))
    (item,) = render(spec, stock.assets).instances
    assert item.area_px == np.count_nonzero(item.mask)
    assert item.truncated == (size_wh == (700, 500))
    if size_wh == (700, 500):
        assert item.mask.all()
    elif item.area_px:
        assert item.mask[40:61, 50:71].any() or size_wh == (1, 40)
