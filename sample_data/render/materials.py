"""Cycles materials for waste: worn, scratched and dusty, every one different.

All noise runs in object coordinates (metres) and is shifted by numbers drawn from the
``rng`` that every function takes, so two items never share a smear.  ``dirt`` is 0..1
everywhere: 0 is fresh from the shop, 1 is fished out of a wet bin.  Colours are linear RGB.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

Colour = tuple[float, float, float]

GLASS_COLOURS: Mapping[str, Colour] = {
    "green": (0.14, 0.36, 0.12),
    "dark_green": (0.09, 0.20, 0.05),
    "brown": (0.34, 0.115, 0.018),
    "clear": (0.83, 0.92, 0.87),
    "blue": (0.22, 0.42, 0.66),
}
METAL_COLOURS: Mapping[str, Colour] = {
    "aluminium": (0.86, 0.87, 0.88),
    "tinplate": (0.68, 0.67, 0.64),
    "gold_lacquer": (0.80, 0.56, 0.22),
    "white_lacquer": (0.80, 0.80, 0.76),
}
_DUSTS: tuple[Colour, ...] = (
    (0.20, 0.165, 0.12),
    (0.11, 0.095, 0.075),
    (0.30, 0.27, 0.23),
    (0.055, 0.045, 0.035),
)


class _Graph:
    """A material's node tree under construction."""

    def __init__(self, name: str, rng: np.random.Generator) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self.tree = self.material.node_tree
        self.tree.nodes.clear()
        self.rng = rng
        self.coords = self.node("ShaderNodeTexCoord").outputs["Object"]

    def node(self, kind: str, sockets: Mapping[str | int, Any] | None = None, **properties: Any) -> bpy.types.Node:
        """Add a node; a socket value that is an output is linked, any other is set."""
        made = self.tree.nodes.new(kind)
        for key, value in properties.items():
            setattr(made, key, value)
        for key, value in (sockets or {}).items():
            socket = made.inputs[key]
            if isinstance(value, bpy.types.NodeSocket):
                self.tree.links.new(value, socket)
            elif isinstance(value, tuple) and len(value) == 3 and socket.type == "RGBA":
                socket.default_value = (*value, 1.0)
            else:
                socket.default_value = value
        return made

    def noise(
        self, wavelength_m: float, *, detail: float = 4.0, stretch: Colour = (1.0, 1.0, 1.0)
    ) -> bpy.types.NodeSocket:
        """Seeded noise, 0..1 around 0.5; ``stretch`` lengthens features along an axis."""
        shift = tuple(float(x) for x in self.rng.uniform(-10.0, 10.0, 3))
        turn = tuple(float(x) for x in self.rng.uniform(-0.4, 0.4, 3))
        mapping = self.node(
            "ShaderNodeMapping",
            {
                "Vector": self.coords,
                "Location": shift,
                "Rotation": turn,
                "Scale": tuple(1.0 / factor for factor in stretch),
            },
        )
        texture = self.node(
            "ShaderNodeTexNoise",
            {
                "Vector": mapping.outputs[0],
                "W": float(self.rng.uniform(0.0, 100.0)),
                "Scale": 1.0 / wavelength_m,
                "Detail": detail,
                "Roughness": 0.6,
            },
            noise_dimensions="4D",
        )
        return texture.outputs[0]

    def remap(
        self, value: bpy.types.NodeSocket, source: tuple[float, float], target: tuple[float, float]
    ) -> bpy.types.NodeSocket:
        """Clamped linear remap of one range to another."""
        return self.node(
            "ShaderNodeMapRange",
            {0: value, 1: source[0], 2: source[1], 3: target[0], 4: target[1]},
        ).outputs[0]

    def math(self, operation: str, first: Any, second: Any) -> bpy.types.NodeSocket:
        return self.node("ShaderNodeMath", {0: first, 1: second}, operation=operation).outputs[0]

    def mix_colour(self, factor: Any, first: Any, second: Any) -> bpy.types.NodeSocket:
        mixed = self.node("ShaderNodeMixRGB", {"Fac": factor, "Color1": first, "Color2": second})
        return mixed.outputs[0]

    def mix_shader(self, factor: Any, first: Any, second: Any) -> bpy.types.NodeSocket:
        return self.node("ShaderNodeMixShader", {0: factor, 1: first, 2: second}).outputs[0]

    def bump(self, height: Any, depth_m: float) -> bpy.types.NodeSocket:
        return self.node("ShaderNodeBump", {"Height": height, "Distance": depth_m, "Strength": 1.0}).outputs[0]

    def grime(self, dirt: float) -> bpy.types.NodeSocket:
        """Where dust and smears lie, 0..1: an uneven film, streaks and a few splashes."""
        start = 0.74 - 0.34 * dirt
        film = self.remap(self.noise(0.05, detail=6.0), (start, start + 0.3), (0.04 * dirt, 0.75 * dirt))
        streak = self.remap(self.noise(0.008, stretch=(1.0, 1.0, 7.0)), (0.62, 0.78), (0.0, 0.55 * dirt))
        splash = self.remap(self.noise(0.011, detail=5.0), (0.74 - 0.10 * dirt, 0.80), (0.0, 0.9 * dirt))
        return self.math("MAXIMUM", self.math("MAXIMUM", film, streak), splash)

    def finish(self, shader: bpy.types.NodeSocket, dirt: float) -> bpy.types.Material:
        """Lay the grime over the shader and close the graph."""
        if dirt > 0.0:
            dust = _DUSTS[int(self.rng.integers(len(_DUSTS)))]
            dull = self.node("ShaderNodeBsdfDiffuse", {"Color": dust, "Roughness": 0.6}).outputs[0]
            shader = self.mix_shader(self.grime(dirt), shader, dull)
        self.node("ShaderNodeOutputMaterial", {"Surface": shader})
        return self.material


def pack_image(pixels: NDArray[np.uint8], name: str) -> bpy.types.Image:
    """A Blender image held in memory from (H, W, 3) or (H, W, 4) sRGB bytes, top row first."""
    height, width, channels = pixels.shape
    rgba = np.full((height, width, 4), 255, dtype=np.uint8)
    rgba[..., :channels] = pixels
    image = bpy.data.images.new(name, width, height, alpha=True)
    image.pixels.foreach_set((rgba[::-1].astype(np.float32) / 255.0).ravel())
    image.pack()
    return image


def printed(
    image: NDArray[np.uint8],
    rng: np.random.Generator,
    *,
    roughness: float = 0.45,
    dirt: float = 0.2,
    metallic: float = 0.0,
    base_colour: Colour = (0.8, 0.8, 0.78),
    wear: float = 0.2,
    name: str = "printed",
) -> bpy.types.Material:
    """A print laid over the UVs; where its alpha is low or ``wear`` rubbed it off, the base shows.

    ``metallic`` above 0 gives transparent ink on bare metal, as on a drinks can.
    """
    graph = _Graph(name, rng)
    texture = graph.node("ShaderNodeTexImage", extension="EXTEND")
    texture.image = pack_image(image, name)
    rubbed = graph.remap(graph.noise(0.006, detail=5.0), (0.80 - 0.18 * wear, 0.84), (1.0, 1.0 - wear))
    ink = graph.math("MULTIPLY", texture.outputs["Alpha"], rubbed)
    colour = graph.mix_colour(ink, base_colour, texture.outputs["Color"])
    gloss = graph.remap(graph.noise(0.03), (0.3, 0.7), (roughness * 0.75, min(1.0, roughness * 1.35)))
    principled = graph.node(
        "ShaderNodeBsdfPrincipled",
        {
            "Base Color": colour,
            "Metallic": metallic,
            "Roughness": gloss,
            "Coat Weight": 0.4 if metallic > 0.0 else 0.0,
            "Coat Roughness": 0.15,
        },
    )
    return graph.finish(principled.outputs[0], dirt)


def metal(
    rng: np.random.Generator,
    *,
    kind: str = "aluminium",
    roughness: float = 0.28,
    rust: float = 0.0,
    dirt: float = 0.2,
    brushed: float = 0.3,
    name: str = "metal",
) -> bpy.types.Material:
    """Sheet metal of a ``METAL_COLOURS`` kind, with rolling marks and up to ``rust`` 0..1."""
    graph = _Graph(name, rng)
    tint = METAL_COLOURS[kind]
    stained = graph.mix_colour(
        graph.remap(graph.noise(0.04), (0.35, 0.75), (0.0, 0.5)),
        tint,
        tuple(0.72 * channel for channel in tint),
    )
    lines = graph.noise(0.0012, stretch=(1.0, 1.0, 40.0), detail=2.0)
    gloss = graph.remap(graph.noise(0.02, detail=5.0), (0.3, 0.7), (roughness * 0.7, roughness * 1.5))
    principled = graph.node(
        "ShaderNodeBsdfPrincipled",
        {
            "Base Color": stained,
            "Metallic": 0.15 if kind == "white_lacquer" else 1.0,
            "Roughness": gloss,
            "Normal": graph.bump(lines, 0.00012 * brushed),
        },
    ).outputs[0]
    if rust > 0.0:
        scale = graph.noise(0.0025, detail=6.0)
        flakes = graph.mix_colour(scale, (0.05, 0.018, 0.008), (0.36, 0.12, 0.035))
        rusty = graph.node(
            "ShaderNodeBsdfPrincipled",
            {"Base Color": flakes, "Roughness": 0.9, "Normal": graph.bump(scale, 0.0005)},
        ).outputs[0]
        start = 0.72 - 0.36 * rust
        spread = graph.remap(graph.noise(0.03, detail=8.0), (start, start + 0.1), (0.0, 1.0))
        principled = graph.mix_shader(spread, principled, rusty)
    return graph.finish(principled, dirt)


def _see_through(
    graph: _Graph, tint: Colour, *, ior: float, roughness: float, scratches: float, rim: float, dirt: float
) -> bpy.types.Material:
    """Refract what the camera sees; let light rays through straight and tinted.

    Caustics are off in these renders, so shadow and diffuse rays take a transparent path.
    ``tint`` is what white looks like through both walls, four surfaces, seen face on; the
    principled shader takes the root of its colour at each surface it crosses.  ``rim`` 0..1
    is how much a wall seen edge on darkens, as thick glass does.
    """
    facing = graph.node("ShaderNodeLayerWeight", {"Blend": 0.35}).outputs["Facing"]
    face_on = tuple(channel**0.5 for channel in tint)
    colour = graph.mix_colour(
        facing, face_on, tuple((1.0 - 0.45 * rim) * channel ** (0.5 + 1.2 * rim) for channel in tint)
    )
    scuffed = graph.remap(
        graph.noise(0.0022, stretch=(1.0, 1.0, 12.0), detail=3.0),
        (0.60, 0.75),
        (roughness, roughness + 0.35 * scratches),
    )
    ripple = graph.bump(graph.noise(0.012, detail=2.0), 0.00025)
    pane = graph.node(
        "ShaderNodeBsdfPrincipled",
        {
            "Base Color": colour,
            "Transmission Weight": 1.0,
            "IOR": ior,
            "Roughness": scuffed,
            "Normal": ripple,
        },
    ).outputs[0]
    path = graph.node("ShaderNodeLightPath")
    through = graph.node("ShaderNodeBsdfTransparent", {"Color": tuple(0.98 * channel**0.25 for channel in tint)})
    if dirt > 0.0:
        dust = _DUSTS[int(graph.rng.integers(len(_DUSTS)))]
        dull = graph.node("ShaderNodeBsdfDiffuse", {"Color": dust}).outputs[0]
        pane = graph.mix_shader(graph.math("MULTIPLY", graph.grime(dirt), 0.7), pane, dull)
    light_only = graph.math("MAXIMUM", path.outputs["Is Shadow Ray"], path.outputs["Is Diffuse Ray"])
    return graph.finish(graph.mix_shader(light_only, pane, through.outputs[0]), 0.0)


def clear_plastic(
    rng: np.random.Generator,
    *,
    colour: Colour = (0.93, 0.96, 0.96),
    haze: float = 0.04,
    scratches: float = 0.4,
    dirt: float = 0.2,
    name: str = "clear_plastic",
) -> bpy.types.Material:
    """Clear or tinted PET for closed thin walls; ``haze`` is its surface roughness 0..1.

    The colour is what white looks like through both walls.
    """
    return _see_through(_Graph(name, rng), colour, ior=1.45, roughness=haze, scratches=scratches, rim=0.4, dirt=dirt)


def glass(
    rng: np.random.Generator,
    *,
    colour: str | Colour = "clear",
    scratches: float = 0.1,
    dirt: float = 0.2,
    name: str = "glass",
) -> bpy.types.Material:
    """Bottle glass for closed thick walls; ``colour`` is a ``GLASS_COLOURS`` name or RGB.

    The colour is what white looks like through both walls of a bottle.
    """
    both_walls = GLASS_COLOURS[colour] if isinstance(colour, str) else colour
    return _see_through(_Graph(name, rng), both_walls, ior=1.52, roughness=0.0, scratches=scratches, rim=0.8, dirt=dirt)


def opaque_plastic(
    rng: np.random.Generator,
    *,
    colour: Colour,
    roughness: float = 0.35,
    milkiness: float = 0.0,
    dirt: float = 0.2,
    name: str = "opaque_plastic",
) -> bpy.types.Material:
    """Moulded PP, HDPE or PET; ``milkiness`` 0..1 lets light glow through as in HDPE."""
    graph = _Graph(name, rng)
    gloss = graph.remap(graph.noise(0.01, detail=5.0), (0.3, 0.7), (roughness * 0.75, min(1.0, roughness * 1.4)))
    tone = graph.mix_colour(
        graph.remap(graph.noise(0.06), (0.3, 0.7), (0.0, 0.3)),
        colour,
        tuple(0.8 * channel for channel in colour),
    )
    sockets: dict[str | int, Any] = {"Base Color": tone, "Roughness": gloss, "IOR": 1.48}
    if milkiness > 0.0:
        sockets |= {
            "Subsurface Weight": milkiness,
            "Subsurface Radius": (0.006, 0.006, 0.006),
            "Subsurface Scale": 1.0,
        }
    return graph.finish(graph.node("ShaderNodeBsdfPrincipled", sockets).outputs[0], dirt)


def fibre(
    rng: np.random.Generator,
    *,
    colour: Colour,
    roughness: float = 0.85,
    mottle: float = 0.4,
    dirt: float = 0.2,
    name: str = "fibre",
) -> bpy.types.Material:
    """Paper or cardboard: matt, mottled by its fibres, with damp stains as dirt grows."""
    graph = _Graph(name, rng)
    hairs = graph.noise(0.0015, detail=6.0, stretch=(4.0, 1.0, 1.0))
    dark = tuple(channel * (1.0 - 0.45 * mottle) for channel in colour)
    tone = graph.mix_colour(graph.remap(hairs, (0.35, 0.7), (0.0, 1.0)), colour, dark)
    if dirt > 0.0:
        damp = graph.remap(graph.noise(0.09, detail=3.0), (0.62 - 0.15 * dirt, 0.66), (0.0, 0.55 * dirt))
        tone = graph.mix_colour(damp, tone, tuple(0.45 * channel for channel in colour))
    principled = graph.node(
        "ShaderNodeBsdfPrincipled",
        {
            "Base Color": tone,
            "Roughness": roughness,
            "Specular IOR Level": 0.25,
            "Normal": graph.bump(hairs, 0.00015),
        },
    )
    return graph.finish(principled.outputs[0], dirt)


def foam(
    rng: np.random.Generator,
    *,
    colour: Colour = (0.86, 0.86, 0.84),
    cell_m: float = 0.003,
    dirt: float = 0.2,
    name: str = "foam",
) -> bpy.types.Material:
    """Expanded polystyrene: matt, pebbled by beads of ``cell_m``."""
    graph = _Graph(name, rng)
    beads = graph.node(
        "ShaderNodeTexVoronoi",
        {"Vector": graph.coords, "W": float(rng.uniform(0.0, 100.0)), "Scale": 1.0 / cell_m},
        voronoi_dimensions="4D",
    ).outputs["Distance"]
    principled = graph.node(
        "ShaderNodeBsdfPrincipled",
        {
            "Base Color": colour,
            "Roughness": 0.7,
            "Specular IOR Level": 0.3,
            "Normal": graph.bump(graph.math("MULTIPLY", beads, -1.0), 0.0005),
        },
    )
    return graph.finish(principled.outputs[0], dirt)
