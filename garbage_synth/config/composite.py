"""Settings of the composite stage."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from garbage_synth.config.base import StageConfig, ordered
from garbage_synth.config.presets import PRESETS, Preset

__all__ = [
    "BeltConfig",
    "BlendConfig",
    "BlendMode",
    "CameraConfig",
    "ClassesConfig",
    "CompositeConfig",
    "DeformConfig",
    "DistractorsConfig",
    "LabelsConfig",
    "LightConfig",
    "PlacementConfig",
    "PoseConfig",
    "ScaleConfig",
]


Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
FractionRange = Annotated[tuple[Fraction, Fraction], AfterValidator(ordered)]
NonNegativeRange = Annotated[tuple[NonNegative, NonNegative], AfterValidator(ordered)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(ordered)]
ElevationRange = Annotated[
    tuple[Annotated[float, Field(ge=10.0, le=90.0)], Annotated[float, Field(ge=10.0, le=90.0)]],
    AfterValidator(ordered),
]
QualityRange = Annotated[
    tuple[Annotated[int, Field(ge=1, le=100)], Annotated[int, Field(ge=1, le=100)]], AfterValidator(ordered)
]
CountRange = Annotated[
    tuple[Annotated[int, Field(ge=0, le=1000)], Annotated[int, Field(ge=0, le=1000)]], AfterValidator(ordered)
]
DentRange = Annotated[
    tuple[Annotated[int, Field(ge=0, le=8)], Annotated[int, Field(ge=0, le=8)]], AfterValidator(ordered)
]
BlendMode = Literal["none", "feather", "gaussian", "poisson", "pyramid"]


class BeltConfig(StageConfig):
    """The belt where its sidecar says nothing, and its edge."""

    mm_per_px: Positive | None = Field(
        default=None,
        description="Millimetres on the belt per pixel of the belt's photo, for belts whose sidecar does not say.",
    )
    travel_deg: float | None = Field(
        default=None,
        ge=-360,
        le=360,
        description="Direction of travel in the picture (0 = to the right, 90 = down), for belts whose sidecar does "
        "not say. Unknown: motion blur is along x or y.",
    )
    polygons_px: dict[str, list[tuple[float, float]]] = Field(
        default={},
        description="Corners [x, y] of the belt in a photo's pixels, by the photo's file name without ending, for "
        "belts whose sidecar does not say (folders that you cannot write to).",
    )
    leave_out: list[str] = Field(
        default=[], description="Belts not to be used, by file name without ending (views from the side, for example)."
    )
    edge_margin: Fraction = Field(
        default=0.01, description="Free strip along the belt's edges, as a fraction of the picture's short side."
    )


class ScaleConfig(StageConfig):
    """How large an item appears."""

    source: Literal["auto", "length", "fraction", "native"] = Field(
        default="auto",
        description="auto: the crop's length_mm, else class_length_mm, else a fraction of the picture. length: the "
        "same, but a crop without a length is an error. fraction: always image_fraction. native: a pixel of the crop "
        "is a pixel of the belt's photo (crops cut from pictures of the same camera), wherever it lies. Where a belt "
        "has a perspective, lengths and fractions are those in the middle of the frame.",
    )
    class_length_mm: dict[str, PositiveRange | Positive] = Field(
        default={},
        description="Length of the longer side in millimetres per class, a number or [smallest, largest], for crops "
        "without length_mm.",
    )
    image_fraction: PositiveRange = Field(
        default=(0.14, 0.32),
        description="Longer side of an item without a known length, as a fraction of the picture's short side.",
    )
    jitter: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(
        default=0.05, description="Known lengths are multiplied by 1 - jitter .. 1 + jitter."
    )


class PlacementConfig(StageConfig):
    """How many items there are and where they lie."""

    count_distribution: Literal["uniform", "poisson"] = Field(
        default="uniform",
        description="Number of items per picture within MIN..MAX of --items: uniform, or poisson about the middle.",
    )
    coverage: FractionRange | None = Field(
        default=None,
        description="Part of the belt in the frame that items hide together, drawn per picture: items are added from "
        "MIN on until it is reached, MAX at most. Stands in for count_distribution.",
    )
    spread_weight: NonNegative = Field(
        default=0.4, description="Share of pictures whose items keep apart, like Poisson discs (weight)."
    )
    random_weight: NonNegative = Field(default=0.35, description="Share of pictures with items anywhere (weight).")
    cluster_weight: NonNegative = Field(default=0.25, description="Share of pictures with items in groups (weight).")
    pile_weight: NonNegative = Field(
        default=0.0, description="Share of pictures with items heaped upon each other (weight)."
    )
    max_overlap: Fraction = Field(
        default=0.3, description="Largest part of the smaller of two silhouettes that both may share."
    )
    pile_overlap: Fraction = Field(default=0.65, description="The same in pictures with piles.")
    cut_fraction: Fraction = Field(default=0.12, description="Share of items that the frame edge is asked to cut.")
    min_in_frame: Fraction = Field(default=0.4, description="Smallest part of such an item that stays in the frame.")
    max_off_belt: Fraction = Field(
        default=0.0, description="Largest part of a silhouette that may lie beside the belt."
    )
    tries: int = Field(default=40, ge=1, le=1000, description="Positions tried before an item is given up.")
    empty_fraction: Fraction = Field(
        default=0.0, description="Share of pictures without any item, spread evenly over the dataset."
    )


class PoseConfig(StageConfig):
    """How an item is turned before it is pasted."""

    rotate: bool = Field(default=True, description="Turn items to any angle in the plane of the belt.")
    flip: bool = Field(default=True, description="Mirror every second item (turns print on it into mirror writing).")
    squash: FractionRange = Field(
        default=(0.88, 1.0), description="Items are shortened to this part along a direction of their own."
    )


class DeformConfig(StageConfig):
    """How an item is bent out of shape, silhouette and pixels together. Each item draws strengths from 0 up."""

    probability: Fraction = Field(default=0.6, description="Share of items that are deformed at all.")
    tilt_deg: Annotated[float, Field(ge=0, le=35)] = Field(
        default=15.0, description="Largest tilt out of the plane of the photo, seen in perspective."
    )
    bend_deg: Annotated[float, Field(ge=0, le=90)] = Field(
        default=14.0, description="Largest bend: the angle between the directions of the item's two ends."
    )
    crush: Annotated[float, Field(ge=0, le=0.5)] = Field(
        default=0.15, description="Largest crush: so much is lost in the middle of a crushed zone, which grows wider."
    )
    dents: DentRange = Field(default=(0, 2), description="Number of dents in the outline.")
    dent_depth: Annotated[float, Field(ge=0, le=0.2)] = Field(
        default=0.05, description="Largest depth of a dent as a fraction of the crop's longer side."
    )
    ripple: Annotated[float, Field(ge=0, le=0.05)] = Field(
        default=0.008, description="Largest amplitude of ripples as a fraction of the crop's longer side."
    )
    class_strength: dict[str, Annotated[float, Field(ge=0, le=2)]] = Field(
        default={},
        description="Factor on bend, crush, dents and ripple per class, e.g. {glass: 0, paper: 1.5}; 0 = rigid, which "
        "can still be tilted.",
    )


class LightConfig(StageConfig):
    """Shadows, and fitting an item's light to the belt's."""

    contact_strength: FractionRange = Field(
        default=(0.35, 0.6), description="Darkness of the narrow shadow where an item touches the belt."
    )
    cast_strength: FractionRange = Field(
        default=(0.2, 0.45), description="Darkness of the shadow that the scene's light casts."
    )
    elevation_deg: ElevationRange = Field(
        default=(40.0, 75.0), description="Height of the light above the belt in degrees; low light casts far."
    )
    softness: NonNegativeRange = Field(
        default=(0.25, 0.6), description="Blur of the cast shadow as a fraction of the item's height."
    )
    item_height: NonNegativeRange = Field(
        default=(0.15, 0.45), description="Height of an item as a fraction of the shorter side of its silhouette."
    )
    class_item_height: dict[str, NonNegativeRange] = Field(
        default={}, description="The same per class, e.g. {paper: [0.02, 0.1]}."
    )
    match_lightness: Fraction = Field(
        default=0.25, description="How far the item's mean lightness moves to that of the belt around it."
    )
    match_colour: Fraction = Field(default=0.12, description="How far its mean colour takes on the cast of the belt.")
    follow_field: Fraction = Field(
        default=0.6, description="How far the item follows the belt's own light, brighter here and darker there."
    )
    specular_fade: FractionRange = Field(
        default=(0.0, 0.5),
        description="How far highlights that a crop brings from its photo are toned down, drawn per picture.",
    )
    exposure_jitter: Annotated[float, Field(ge=0.0, le=0.5)] = Field(
        default=0.06, description="Items are made lighter or darker by up to this part, each for itself."
    )
    hue_jitter_deg: Annotated[float, Field(ge=0.0, le=180.0)] = Field(
        default=0.0,
        description="The colours of items are turned by up to this angle, each for itself (grey stays grey): for "
        "classes whose prints and colours vary more than the crops do.",
    )


class BlendConfig(StageConfig):
    """How an item's edge meets what lies below."""

    mode: Literal["mix", "none", "feather", "gaussian", "poisson", "pyramid"] = Field(
        default="mix",
        description="none: hard edge. feather: fades inwards. gaussian: fades to both sides. poisson: gradient-domain "
        "(slow, takes on the belt's colour). pyramid: Laplacian pyramid (slow). mix: one per item, by mix_weights. "
        "gaussian and pyramid draw up to three pixels beyond the labelled outline.",
    )
    mix_weights: dict[BlendMode, NonNegative] = Field(
        default={"feather": 0.6, "gaussian": 0.25, "none": 0.15},
        description="Weights of the modes in mix; what is given here replaces all of them.",
    )
    feather_px: NonNegativeRange = Field(
        default=(0.5, 1.1), description="Width (sigma, pixels) of the soft edge of feather and gaussian."
    )


class CameraConfig(StageConfig):
    """What the camera does to the whole picture."""

    noise: NonNegativeRange = Field(default=(0.5, 2.5), description="Sigma of the sensor noise in 8-bit steps.")
    motion_probability: Fraction = Field(default=0.25, description="Share of pictures blurred by the belt's motion.")
    motion_px: NonNegativeRange = Field(default=(1.5, 3.5), description="Length of that blur in pixels.")
    defocus_probability: Fraction = Field(default=0.2, description="Share of pictures slightly out of focus.")
    defocus_px: NonNegativeRange = Field(default=(0.4, 0.8), description="Sigma of that blur in pixels.")
    vignette_probability: Fraction = Field(
        default=0.25, description="Share of pictures with corners darkened beyond what the belt's photo shows."
    )
    vignette: FractionRange = Field(default=(0.05, 0.2), description="Part of the light that such corners lose.")
    gain_jitter: Annotated[float, Field(ge=0.0, le=0.5)] = Field(
        default=0.05, description="Brightness of the whole picture varies by up to this part."
    )
    white_balance_jitter: Annotated[float, Field(ge=0.0, le=0.5)] = Field(
        default=0.02, description="Red and blue of the whole picture vary by up to this part."
    )
    jpeg_quality: QualityRange = Field(default=(90, 96), description="JPEG quality, 1..100.")


class DistractorsConfig(StageConfig):
    """Unlabelled things from --distractors: dirt, drops, tools, anything. What they hide counts as hidden."""

    count: CountRange = Field(default=(0, 4), description="Smallest and largest number per picture.")
    image_fraction: PositiveRange = Field(
        default=(0.03, 0.15), description="Longer side as a fraction of the picture's short side, without length_mm."
    )
    above_probability: Fraction = Field(default=0.5, description="Share that lies on the items; the rest is below.")
    deform_strength: Annotated[float, Field(ge=0, le=2)] = Field(
        default=0.0, description="Factor on bend, crush, dents and ripple, as deform.class_strength for a class."
    )
    item_height: NonNegativeRange = Field(
        default=(0.02, 0.15), description="Height as a fraction of the shorter side, as light.item_height for items."
    )


class LabelsConfig(StageConfig):
    """Which items get an annotation, and what it holds."""

    segmentation: Literal["rle", "polygon"] = Field(
        default="rle",
        description="rle: exact, compressed. polygon: along pixel edges, holes joined by a cut of no width; RLE where "
        "the polygon's IoU with the mask is below 0.99.",
    )
    amodal: Literal["none", "bbox", "mask"] = Field(
        default="none",
        description="bbox: adds amodal_bbox, the box of the whole silhouette, which may reach outside the frame. mask: "
        "adds amodal_segmentation too, the silhouette in the frame with what others hide.",
    )

    min_visible_fraction: Fraction = Field(
        default=0.2,
        description="Items of which less is seen (of the whole silhouette, outside the frame too) count as hidden.",
    )
    min_visible_px: int = Field(default=40, ge=1, description="Items with fewer visible pixels count as hidden.")
    hidden: Literal["remove", "keep"] = Field(
        default="remove", description="Hidden items leave the picture (remove) or stay without an annotation (keep)."
    )


class ClassesConfig(StageConfig):
    """How often each class is drawn, and from how many photographed items."""

    balance: Literal["uniform", "crops", "inverse"] = Field(
        default="uniform",
        description="uniform: each class equally often. crops: as often as it has crops. inverse: the fewer crops the "
        "more often, for a set to be joined with one in which those classes are rare.",
    )
    weights: dict[str, NonNegative] = Field(
        default={}, description="Factor per class on top of the balance; 0 leaves a class out of the pictures."
    )
    max_photos: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="At most so many photos (sources of crops) of a class are used, train and val together, drawn by "
        "the seed; those of a smaller number are among those of a larger; null = all. To measure with ladder what more "
        "photographed items gain.",
    )


class CompositeConfig(StageConfig):
    """Everything about composite that is not a flag of the command."""

    preset: Preset = Field(
        default="default",
        description="Where the other settings start. fast: no deformation, light field or blur. naive: bare pasting "
        "with hard edges, to compare with.",
    )
    belt: BeltConfig = BeltConfig()
    scale: ScaleConfig = ScaleConfig()
    placement: PlacementConfig = PlacementConfig()
    pose: PoseConfig = PoseConfig()
    deform: DeformConfig = DeformConfig()
    light: LightConfig = LightConfig()
    blend: BlendConfig = BlendConfig()
    camera: CameraConfig = CameraConfig()
    distractors: DistractorsConfig = DistractorsConfig()
    labels: LabelsConfig = LabelsConfig()
    classes: ClassesConfig = ClassesConfig()

    presets = PRESETS
