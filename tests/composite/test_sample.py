"""Scenes drawn at random keep to the rules."""

import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from garbage_synth.composite.belt import belt_mask
from garbage_synth.composite.pose import draw_pose
from garbage_synth.composite.render import lay_out, render, settle
from garbage_synth.composite.sample import class_shares, sample_scene
from garbage_synth.composite.scale import scale_rule
from garbage_synth.composite.scene import SceneSpec, scene_from_json, scene_to_json
from garbage_synth.config.composite import ClassesConfig, CompositeConfig, ScaleConfig
from garbage_synth.core.rng import rng_for
from garbage_synth.errors import InputError
from tests.composite.scenes import Stock, background, box_rgba, facts_of, quiet_config
from tests.makers import item_rgba

STRIP = background((320, 240), polygon_px=((0, 60), (320, 60), (320, 180), (0, 180)))


def stock(**options: object) -> Stock:
    crops = {
        "can/a": item_rgba(60, 40, (200, 50, 50)),
        "can/b": item_rgba(50, 50, (50, 200, 50)),
        "cup/a": box_rgba(70, 30),
    }
    return Stock(crops, belt=STRIP, **options)  # type: ignore[arg-type]


STOCK = stock()


def sample(config: CompositeConfig, index: int = 0, items: tuple[int, int] = (4, 4), own: Stock = STOCK) -> SceneSpec:
    rng = rng_for(0, "composite", "train", index)
    return sample_scene(config, own.catalog(items, config.scale), rng, index=index)


def test_scene_is_a_function_of_seed_and_index() -> None:
    assert sample(CompositeConfig(), 3) == sample(CompositeConfig(), 3)
    assert sample(CompositeConfig(), 3) != sample(CompositeConfig(), 4)


def test_scene_goes_through_json_unchanged() -> None:
    spec = sample(CompositeConfig())
    assert spec.placements
    assert scene_from_json(json.loads(json.dumps(scene_to_json(spec)))) == spec


def test_count_stays_in_range_and_reaches_both_ends() -> None:
    config = quiet_config(max_overlap=1.0)
    specs = [sample(config, index, (2, 4)) for index in range(40)]
    assert {len(spec.placements) + spec.not_placed for spec in specs} == {2, 3, 4}
    assert sample(config, 0, (0, 0)).placements == ()


def test_items_lie_on_the_belt_and_whole_unless_cut() -> None:
    on_belt = belt_mask(STOCK.view, 1) > 0
    specs = [sample(quiet_config(cut_fraction=0.0), index) for index in range(25)]
    items = [item for spec in specs for item in render(spec, STOCK.assets).instances]
    assert len(items) > 60
    for item in items:
        assert not (item.mask & ~on_belt).any()
        assert not item.truncated


def test_cut_items_stay_on_the_belt_and_mostly_in_the_frame() -> None:
    config = quiet_config(cut_fraction=1.0, min_in_frame=0.5, max_overlap=0.0)
    specs = [sample(config, index) for index in range(25)]
    layouts = [lay_out(spec, STOCK.assets) for spec in specs]
    parts = [visible for layout in layouts for visible in layout.visible]
    assert len(parts) > 40
    assert all(part.truncated for part in parts)
    assert min(part.fraction for part in parts) > 0.45
    assert all(part.box_xyxy[1] >= 58 and part.box_xyxy[3] <= 182 for part in parts)


def test_overlap_limit_holds_on_the_masks() -> None:
    for limit in (0.0, 0.3):
        config = quiet_config(max_overlap=limit, cut_fraction=0.0, spread_weight=0.0, random_weight=0.0)
        worst = 0.0
        for index in range(12):
            spec = sample(config, index, (6, 6))
            masks = [patch_mask(STOCK, spec, z) for z in range(len(spec.placements))]
            for low in range(len(masks)):
                for high in range(low):
                    shared = np.count_nonzero(masks[low] & masks[high])
                    worst = max(worst, shared / min(masks[low].sum(), masks[high].sum()))
        assert worst <= limit + 0.05  # the grid's cells are coarser than pixels
        assert limit == 0.0 or worst > 0.1


def patch_mask(own: Stock, spec: SceneSpec, z: int) -> np.ndarray:
    alone = replace(spec, placements=(spec.placements[z],))
    return render(alone, own.assets).instances[0].mask


def test_spread_scenes_keep_items_further_apart_than_clusters() -> None:
    def mean_distance(**weights: float) -> float:
        config = quiet_config(cut_fraction=0.0, max_overlap=1.0, **weights)
        distances = []
        for index in range(20):
            centers = np.array([item.center_xy_px for item in sample(config, index, (5, 5)).placements])
            between = np.linalg.norm(centers[:, None] - centers[None], axis=2) + 1e9 * np.eye(len(centers))
            distances.append(between.min(axis=1).mean())
        return float(np.mean(distances))

    spread = mean_distance(spread_weight=1, random_weight=0, cluster_weight=0)
    anywhere = mean_distance(spread_weight=0, random_weight=1, cluster_weight=0)
    cluster = mean_distance(spread_weight=0, random_weight=0, cluster_weight=1)
    assert spread > 1.15 * anywhere > 1.15 * cluster


def test_items_that_find_no_room_are_counted() -> None:
    spec = sample(quiet_config(max_overlap=0.0, tries=5), items=(60, 60))
    assert spec.not_placed > 5
    assert spec.not_placed + len(spec.placements) == 60


def test_item_longer_than_the_belt_finds_no_room() -> None:
    config = CompositeConfig(scale=ScaleConfig(image_fraction=(3.0, 3.0)))
    assert sample(config).placements == ()


def test_empty_fraction_gives_pictures_without_items() -> None:
    empty = sum(not sample(quiet_config(empty_fraction=0.5), index).placements for index in range(60))
    assert 15 < empty < 45


def test_class_shares_come_out_as_wanted() -> None:
    catalog = STOCK.catalog((5, 5))
    assert dict(catalog.shares) == {"can": 0.5, "cup": 0.5}
    found: Counter[str] = Counter()
    for index in range(60):
        spec = sample_scene(quiet_config(max_overlap=1.0), catalog, rng_for(1, "c", "t", index), index=index)
        found.update(item.crop_id.split("/")[0] for item in spec.placements)
    assert found["can"] / found.total() == pytest.approx(0.5, abs=0.02)


def test_class_weights() -> None:
    one = facts_of("can/a", box_rgba())
    crops = {"can": (one, one, one), "cup": (one,), "lid": ()}
    assert class_shares(ClassesConfig(), crops) == {"can": 0.5, "cup": 0.5}
    assert class_shares(ClassesConfig(balance="crops"), crops) == {"can": 0.75, "cup": 0.25}
    assert class_shares(ClassesConfig(weights={"can": 0}), crops) == {"cup": 1.0}
    assert class_shares(ClassesConfig(weights={"can": 0, "cup": 0}), crops) == {}


def test_length_comes_from_the_crop_then_the_class_then_the_picture() -> None:
    rng = np.random.default_rng(0)
    belt = Stock({}, belt=background((100, 100), belt_mm_per_px=2.0)).view
    known = facts_of("can/a", box_rgba(), length_mm=100.0)
    unknown = facts_of("can/b", box_rgba())
    config = ScaleConfig(class_length_mm={"can": 60.0}, jitter=0.0)
    rule, warnings = scale_rule(config, None, [known, unknown], [belt])
    assert warnings == ()
    assert rule.draw(known, belt, rng) == pytest.approx(100 / 2 / 40)
    assert rule.draw(unknown, belt, rng) == pytest.approx(60 / 2 / 40)
    ranged, _ = scale_rule(ScaleConfig(class_length_mm={"can": (40.0, 60.0)}, jitter=0.0), None, [unknown], [belt])
    assert {20 <= ranged.draw(unknown, belt, rng) * 40 <= 30 for _ in range(20)} == {True}
    free, warnings = scale_rule(ScaleConfig(image_fraction=(0.2, 0.2)), None, [unknown], [belt])
    assert free.draw(unknown, belt, rng) == pytest.approx(20 / 40)
    assert "no length_mm (can)" in warnings[0]
    with pytest.raises(InputError, match="class_length_mm"):
        scale_rule(ScaleConfig(source="length"), None, [unknown], [belt])


def test_scale_on_belts_that_do_not_say() -> None:
    rng = np.random.default_rng(0)
    belt = Stock({}, belt=background((100, 100))).view
    small, large = (facts_of(f"can/{mm}", box_rgba(), length_mm=mm) for mm in (100.0, 200.0))
    told, warnings = scale_rule(ScaleConfig(jitter=0.0), 4.0, [small, large], [belt])
    assert told.draw(small, belt, rng) == pytest.approx(100 / 4 / 40)
    assert warnings == ()
    guessed, warnings = scale_rule(ScaleConfig(jitter=0.0), None, [small, large], [belt])
    assert guessed.draw(large, belt, rng) == pytest.approx(2 * guessed.draw(small, belt, rng))
    assert "belt_mm_per_px" in warnings[0]
    native, warnings = scale_rule(ScaleConfig(source="native", jitter=0.0), None, [small], [belt])
    assert native.draw(small, belt, rng) == 1.0
    assert warnings == ()


def test_absurd_scale_is_told() -> None:
    belt = Stock({}, belt=background((100, 100), belt_mm_per_px=0.05)).view
    _, warnings = scale_rule(ScaleConfig(), None, [facts_of("can/a", box_rgba(), length_mm=100.0)], [belt])
    assert "is belt_mm_per_px right?" in warnings[0]


def test_real_scale_comes_out_in_the_picture() -> None:
    belt = background((320, 240), belt_mm_per_px=2.0, polygon_px=STRIP.polygon_px)
    own = Stock({"cup/a": box_rgba(70, 30)}, belt=belt, length_mm=100.0)
    config = CompositeConfig.model_validate(
        {
            "scale": {"jitter": 0},
            "pose": {"rotate": False, "squash": [1, 1]},
            "deform": {"probability": 0},
            "placement": {"cut_fraction": 0},
        }
    )
    layout = lay_out(sample(config, own=own), own.assets)
    assert layout.visible
    for visible in layout.visible:
        x0, _, x1, _ = visible.box_xyxy
        if visible.fraction == 1.0:
            assert x1 - x0 == pytest.approx(50, abs=1)


def test_motion_follows_the_belts_travel() -> None:
    own = stock()
    own.view = Stock({}, belt=background((320, 240), travel_deg=30.0)).view
    config = CompositeConfig.model_validate({"camera": {"motion_probability": 1.0, "defocus_probability": 1.0}})
    camera = sample(config, own=own).camera
    assert camera.motion_deg == 30.0
    assert camera.motion_px >= 1.5
    assert camera.defocus_px >= 0.4
    assert sample(config).camera.motion_deg in (0.0, 90.0)


def test_items_of_an_absurd_size_find_no_room_and_take_no_memory() -> None:
    spec = sample(CompositeConfig.model_validate({"scale": {"image_fraction": [1e6, 1e6]}}))
    assert (spec.placements, spec.not_placed) == ((), 4)


def test_items_are_larger_where_the_camera_is_nearer() -> None:
    belt = background((320, 240), mm_per_px_at=((160, 0, 2.0), (160, 240, 1.0)))
    own = Stock({"can/a": box_rgba(70, 30)}, belt=belt, length_mm=60.0)
    config = CompositeConfig.model_validate({"scale": {"jitter": 0}, "deform": {"probability": 0}})
    placements = [item for index in range(20) for item in sample(config, index, own=own).placements]
    for item in placements:
        y = min(max(item.center_xy_px[1], 0), 240)
        expected_px = 60.0 * (0.5 + 0.5 * y / 240)
        assert item.scale * 70 == pytest.approx(expected_px, rel=0.03)
    scales = [item.scale for item in placements]
    assert max(scales) > 1.4 * min(scales)


def test_piles_overlap_more_and_other_pictures_do_not() -> None:
    def hidden(**placement: float) -> float:
        config = quiet_config(cut_fraction=0.0, max_overlap=0.1, pile_overlap=0.7, **placement)
        parts = [part for index in range(15) for part in lay_out(sample(config, index, (6, 6)), STOCK.assets).visible]
        return float(np.mean([1 - part.fraction for part in parts]))

    only = {"spread_weight": 0, "random_weight": 0, "cluster_weight": 0}
    assert hidden(**only, pile_weight=1) > 0.1 > 2 * hidden(**only | {"cluster_weight": 1})


@pytest.mark.parametrize("layout", ["random_weight", "pile_weight"])
def test_coverage_is_of_what_items_hide_together(layout: str) -> None:
    belt = belt_mask(STOCK.view, 1) > 0
    others = {name: 0.0 for name in ("spread_weight", "random_weight", "cluster_weight", "pile_weight")}
    for wanted in (0.1, 0.2):
        config = quiet_config(coverage=[wanted, wanted], max_overlap=0.3, tries=200, **others | {layout: 1.0})
        for index in range(8):
            rendered = render(sample(config, index, (1, 60)), STOCK.assets)
            hidden = sum(np.count_nonzero(item.mask & belt) for item in rendered.instances) / np.count_nonzero(belt)
            largest = max(item.area_px for item in rendered.instances) / np.count_nonzero(belt)
            assert wanted - 0.02 <= hidden <= wanted + largest + 0.02
    few = sample(quiet_config(coverage=[0.9, 0.9], max_overlap=0.0), 0, (1, 3))
    assert len(few.placements) + few.not_placed == 3


def test_poisson_counts_stay_in_range_about_the_middle() -> None:
    config = quiet_config(count_distribution="poisson", max_overlap=1.0)
    counts = [len((spec := sample(config, index, (0, 6))).placements) + spec.not_placed for index in range(150)]
    assert min(counts) >= 0
    assert max(counts) <= 6
    assert np.mean(counts) == pytest.approx(3, abs=0.5)
    assert counts.count(3) > 1.5 * counts.count(6)


def test_empty_pictures_are_as_many_as_asked_and_spread() -> None:
    empty = [not sample(quiet_config(empty_fraction=0.3), index, (2, 3)).placements for index in range(20)]
    assert sum(empty) == 6
    assert max(len(run) for run in "".join("x" if value else " " for value in empty).split("x")) <= 4


def test_inverse_balance_favours_classes_with_few_crops() -> None:
    crops = STOCK.catalog().crops  # two cans, one cup
    assert class_shares(ClassesConfig(balance="inverse"), crops) == pytest.approx({"can": 1 / 3, "cup": 2 / 3})


def test_shares_hold_within_two_percent_from_ten_thousand_items() -> None:
    crops = {f"c{number}/a": box_rgba(30 + 4 * number, 24) for number in range(7)}
    own = Stock(crops, belt=background((320, 240)))
    config = quiet_config(max_overlap=0.5)
    drawn = Counter(item.crop_id for index in range(1400) for item in sample(config, index, (3, 12), own).placements)
    assert sum(drawn.values()) >= 10_000
    for count in drawn.values():
        assert count * 7 / sum(drawn.values()) == pytest.approx(1, abs=0.02)


def test_switching_deformation_off_leaves_the_rest_of_the_scene() -> None:
    bent = sample(CompositeConfig.model_validate({"deform": {"probability": 1}, "placement": {"max_overlap": 1.0}}))
    rigid = sample(CompositeConfig.model_validate({"deform": {"probability": 0}, "placement": {"max_overlap": 1.0}}))
    assert all(item.deform is not None for item in bent.placements)
    assert (bent.light, bent.camera) == (rigid.light, rigid.camera)
    stripped = {replace(item, deform=None, center_xy_px=(0.0, 0.0)) for item in bent.placements}
    same = stripped & {replace(item, center_xy_px=(0.0, 0.0)) for item in rigid.placements}
    assert len(same) >= 3  # of four: one may have found room only at another try


def test_distractors_are_strewn_unlabelled_and_hide_what_they_cover() -> None:
    own = Stock({"can/a": box_rgba(60, 40), "distractor:drop": box_rgba(30, 30, (9, 9, 250))}, belt=STRIP)
    catalog = own.catalog((3, 3))
    drop = catalog.crops["distractor:drop"]
    catalog = replace(catalog, crops={"can": catalog.crops["can"]}, shares={"can": 1.0}, distractors=drop)
    config = CompositeConfig.model_validate(
        {"distractors": {"count": [4, 4], "image_fraction": [0.1, 0.1], "above_probability": 1.0}}
    )
    specs = [sample_scene(config, catalog, rng_for(0, "composite", "train", n), index=n) for n in range(12)]
    covered = 0.0
    for spec in specs:
        drops = [item for item in spec.placements if item.crop_id == "distractor:drop"]
        assert len(drops) == 4
        assert not any(item.labelled for item in drops)
        assert spec.placements[-4:] == tuple(drops)
        settled = settle(lay_out(spec, own.assets), config.labels)
        assert sum(item.crop_id == "distractor:drop" for item in settled.spec.placements) == 4
        rendered = render(settled.spec, own.assets)
        assert {item.category for item in rendered.instances} <= {"can"}
        bare = render(replace(settled.spec, placements=settled.spec.placements[:-4]), own.assets)
        covered += sum(item.area_px for item in bare.instances) - sum(item.area_px for item in rendered.instances)
    assert covered > 200


def test_distractors_keep_to_the_belt_and_are_rigid_unless_asked() -> None:
    bar = facts_of("x/bar", box_rgba(120, 8))
    catalog = replace(STOCK.catalog((0, 0)), distractors=(bar,))
    config = CompositeConfig.model_validate({"distractors": {"count": [6, 6], "image_fraction": [0.4, 0.4]}})
    own = Stock({"x/bar": box_rgba(120, 8)}, belt=STRIP)
    on_belt = belt_mask(STOCK.view, 1) > 0
    seen = 0
    for index in range(10):
        spec = sample_scene(config, catalog, rng_for(0, "composite", "train", index), index=index)
        layout = lay_out(spec, own.assets)
        for z in range(len(layout.patches)):
            mask = patch_mask(own, replace(spec, placements=(replace(spec.placements[z], labelled=True),)), 0)
            assert np.count_nonzero(mask & ~on_belt) <= 0.02 * np.count_nonzero(mask) + 2
            seen += 1
    assert seen > 30


def test_distractors_have_a_shape_and_height_of_their_own() -> None:
    flat = replace(STOCK.facts["cup/a"], crop=replace(STOCK.facts["cup/a"].crop, category=""))
    settings = {"deform": {"probability": 1}, "distractors": {"item_height": [0.5, 0.5]}}
    for strength in (0.0, 1.0):
        config = CompositeConfig.model_validate(settings | {"distractors": {"deform_strength": strength}})
        pose = draw_pose(config, flat, 1.0, np.random.default_rng(1))
        assert pose.deform is not None
        assert bool(pose.deform.bend_deg) == bool(strength)
    config = CompositeConfig.model_validate(settings)
    assert draw_pose(config, flat, 1.0, np.random.default_rng(1)).height_px == pytest.approx(15.0)


def test_native_crops_keep_their_size_under_perspective() -> None:
    belt = background((320, 240), mm_per_px_at=((160, 0, 2.0), (160, 240, 1.0)))
    own = Stock({"can/a": box_rgba(40, 30)}, belt=belt)
    config = CompositeConfig.model_validate({"scale": {"source": "native", "jitter": 0}})
    scales = {item.scale for index in range(10) for item in sample(config, index, own=own).placements}
    assert scales == {1.0}


def test_switching_turns_and_flips_off_leaves_the_rest() -> None:
    facts = STOCK.facts["can/a"]
    plain = draw_pose(CompositeConfig(), facts, 1.0, np.random.default_rng(3))
    fixed = CompositeConfig.model_validate({"pose": {"rotate": False, "flip": False}})
    still = draw_pose(fixed, facts, 1.0, np.random.default_rng(3))
    assert replace(still, angle_deg=plain.angle_deg, flipped=plain.flipped) == plain


def test_turning_hues_leaves_the_rest_of_the_scene() -> None:
    plain = sample(CompositeConfig())
    turned = sample(CompositeConfig.model_validate({"light": {"hue_jitter_deg": 90}}))
    hues = [placement.hue_deg for placement in turned.placements]

    assert len(set(hues)) == len(hues) > 2
    assert max(hues, key=abs) > 5 or min(hues) < -5
    assert replace(turned, placements=tuple(replace(own, hue_deg=0.0) for own in turned.placements)) == plain


def test_distractors_below_are_hidden_by_items() -> None:
    config = CompositeConfig.model_validate({"distractors": {"count": [3, 3], "above_probability": 0.0}})
    catalog = replace(STOCK.catalog((2, 2)), distractors=(STOCK.facts["cup/a"],))
    spec = sample_scene(config, catalog, rng_for(0, "composite", "train", 1), index=1)
    assert [item.labelled for item in spec.placements[:3]] == [False] * 3
