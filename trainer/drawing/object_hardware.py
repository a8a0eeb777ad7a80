"""Metal and electric parts for objects.py: each function draws one on the stage."""

from __future__ import annotations

import numpy as np

from .noise import smooth_noise
from .object_stage import ObjectStage, Pose, colour, print_mask

STEEL = (0.62, 0.63, 0.65)
METALS = (
    STEEL,
    (0.78, 0.78, 0.78),
    (0.42, 0.42, 0.44),
    (0.76, 0.60, 0.28),
    (0.72, 0.42, 0.27),
    (0.20, 0.20, 0.21),
)
PLASTICS = ((0.08, 0.08, 0.09), (0.88, 0.87, 0.82), (0.2, 0.2, 0.22), (0.1, 0.25, 0.6))


def metal(rng: np.random.Generator, pose: Pose) -> np.ndarray:
    """Plain, cast, brushed or turned metal, tint [size, size, 3]."""
    size = pose.x.shape[0]
    kind = int(rng.integers(4))
    shade = 0.05 * smooth_noise(rng, size, size / 4)
    if kind == 1:
        shade = shade + 0.08 * rng.standard_normal((size, size))
    elif kind == 2:
        lines = rng.standard_normal(2 * size + 1)
        shade = shade + 0.08 * lines[np.clip(pose.y + size, 0, 2 * size).astype(int)]
    elif kind == 3:
        rings = rng.standard_normal(2 * size)
        turned = rings[np.clip(pose.r(), 0, 2 * size - 1).astype(int)]
        fan = np.cos(2 * pose.theta() + rng.uniform(0, 6.28))
        shade = shade + 0.05 * turned + rng.uniform(0.08, 0.3) * fan
    return colour(rng, *METALS, spread=0.01) * np.clip(1 + shade, 0, 2)[..., None]


def disc(rng: np.random.Generator, stage: ObjectStage, pose: Pose) -> None:
    """A turned or stamped disc with steps, grooves and maybe holes."""
    r = pose.radius
    stage.add(pose.circle(r), metal(rng, pose), bevel=r * rng.uniform(0.02, 0.1), gloss=0.5)
    for step in np.sort(rng.uniform(0.2, 0.9, int(rng.integers(0, 4))))[::-1]:
        tint = stage.albedo if rng.random() < 0.5 else metal(rng, pose)
        lift = r * rng.uniform(-0.06, 0.06)
        stage.add(pose.circle(r * step), tint, lift=lift, bevel=r * 0.04, gloss=0.5)
    if rng.random() < 0.4:
        _holes(rng, stage, pose, int(rng.integers(2, 9)), r * rng.uniform(0.5, 0.75))
    if rng.random() < 0.4:
        stage.stain(0.7 * print_mask(rng, pose, r * rng.uniform(0.2, 0.5)), np.zeros(3))


def _holes(rng: np.random.Generator, stage: ObjectStage, pose: Pose, count: int, at: float) -> None:
    width = min(pose.radius * rng.uniform(0.05, 0.14), at * 2.2 / count)
    for turn in np.arange(count) * 2 * np.pi / count:
        stage.cut(pose.circle(width, at * np.cos(turn), at * np.sin(turn)))


def ring(rng: np.random.Generator, stage: ObjectStage, pose: Pose) -> None:
    """A flat washer, a rubber ring, or a bearing."""
    r = pose.radius
    inner = r * rng.uniform(0.35, 0.85)
    band = np.maximum(pose.circle(r), inner - pose.r())
    half = (r - inner) / 2
    if rng.random() < 0.4:
        rubber = colour(rng, (0.06, 0.06, 0.06), (0.5, 0.1, 0.06), (0.9, 0.9, 0.85))
        stage.add(band, rubber, bevel=half, gloss=rng.uniform(0.1, 0.8))
        return
    stage.add(band, metal(rng, pose), bevel=half * rng.uniform(0.1, 0.4), gloss=0.5)
    if half > 0.12 * r and rng.random() < 0.4:
        middle, race = (r + inner) / 2, half * 0.45
        groove = np.abs(pose.r() - middle) - race
        stage.add(groove, colour(rng, (0.12, 0.12, 0.12)), lift=-half * 0.4, bevel=1.0)
        count = int(2 * np.pi * middle / (2.5 * race))
        for turn in np.arange(count) * 2 * np.pi / count:
            x, y = middle * np.cos(turn), middle * np.sin(turn)
            stage.add(pose.circle(race, x, y), np.asarray(STEEL), bevel=race, gloss=1.0)
    elif rng.random() < 0.3:
        gap = np.maximum(np.abs(pose.y) - half * rng.uniform(0.1, 0.5), -pose.x)
        stage.cut(gap)


def screw(rng: np.random.Generator, stage: ObjectStage, pose: Pose) -> None:
    """A screw or bolt lying on its side."""
    r = pose.radius * 0.97
    shaft = r * rng.uniform(0.1, 0.22)
    head_w, head_l = shaft * rng.uniform(1.6, 2.3), shaft * rng.uniform(0.7, 1.6)
    neck = -r + 2 * head_l * 0.95
    tint = metal(rng, pose)
    pitch = max(3.0, shaft * rng.uniform(0.4, 0.7))
    slant = pose.y / max(shaft, 1.0) * pitch * 0.35
    wave = np.cos(2 * np.pi * (pose.x + slant) / pitch)
    threaded = pose.x > neck + (r - neck) * rng.choice([0.0, 0.25, 0.5])
    tip = r * rng.choice([0.02, 0.15, 0.4])
    taper = np.clip((r - pose.x) / tip, 0.0, 1.0)
    half = shaft * (taper + 0.10 * wave * threaded) - 0.02 * shaft
    body = np.maximum(np.abs(pose.y) - half, np.maximum(neck - pose.x, pose.x - r))
    relief = 0.12 * pitch * wave * threaded
    stage.add(body, tint, bevel=shaft, gloss=0.7, relief=relief)
    stage.stain(0.35 * threaded * np.clip(-wave, 0, 1) * (body < 0), np.zeros(3))
    if rng.random() < 0.5:
        head = pose.box(head_l, head_w, head_l * rng.uniform(0.1, 0.9), x=-r + head_l)
    else:  # countersunk
        cone = np.clip((pose.x + r) / (2 * head_l), 0, 1)
        head = np.maximum(
            np.abs(pose.y) - (head_w + (shaft - head_w) * cone),
            np.maximum(-r - pose.x, pose.x - neck - 1),
        )
    stage.add(head, tint, bevel=head_w * 0.8, gloss=0.7)
    if rng.random() < 0.4:
        edge = np.abs(np.abs(pose.y) - head_w * 0.5) < 0.8
        stage.stain(0.5 * edge * (head < -1), np.zeros(3))


def screw_head(rng: np.random.Generator, stage: ObjectStage, pose: Pose) -> None:
    """A screw from above: slot, cross, hexagon or star drive."""
    r = pose.radius
    stage.add(pose.circle(r), metal(rng, pose), bevel=r * rng.uniform(0.1, 0.9), gloss=0.6)
    dark = stage.albedo * rng.uniform(0.2, 0.5)
    width = r * rng.uniform(0.07, 0.16)
    kind = int(rng.integers(4))
    slot = pose.box(r * 1.1, width)
    if kind == 1:
        reach = r * rng.uniform(0.45, 0.7)
        slot = np.minimum(pose.box(reach, width), pose.box(width, reach))
    elif kind == 2:
        slot = pose.regular(6, r * rng.uniform(0.35, 0.5))
    elif kind == 3:
        star = r * (0.42 + 0.09 * np.cos(6 * pose.theta()))
        slot = pose.r() - star
    slot = np.maximum(slot, pose.circle(r - 0.5))
    stage.add(slot, dark, lift=-r * 0.2, bevel=-r * 0.03, gloss=0.3)


def nut(rng: np.random.Generator, stage: ObjectStage, pose: Pose) -> None:
    """A hexagon or square nut, chamfered, with thread rings in the bore."""
    r, sides = pose.radius, int(rng.choice([4, 6, 6, 6]))
    inner = r * np.cos(np.pi / sides)
    tint = metal(rng, pose)
    bore = r * rng.uniform(0.38, 0.58)
    stage.add(pose.regular(sides, inner), tint * 0.85, bevel=r * 0.08, gloss=0.5)
    top = np.maximum(pose.regular(sides, inner), pose.circle(inner * 1.02))
    stage.add(top, tint, lift=r * 0.08, bevel=r * 0.04, gloss=0.6)
    for ring_at in (1.12, 1.06, 1.0):
        shade = tint * (0.35 if ring_at == 1.06 else 0.7)
        stage.add(pose.circle(bore * ring_at), shade, lift=0.0, bevel=1.0, gloss=0.5)
    stage.cut(pose.circle(bore * 0.92))


def gear(rng: np.random.Generator, stage: ObjectStage, pose: Pose) -> None:
    """A spur gear with hub, bore, web and lightening holes."""
    r, teeth = pose.radius, int(rng.integers(9, 36))
    depth = r * min(0.22, 3.2 / teeth)
    wave = np.cos(teeth * pose.theta())
    profile = r - depth * 0.5 + depth * 0.5 * np.tanh(rng.uniform(1.2, 4) * wave)
    body = (pose.r() - profile) * 0.8
    tint = metal(rng, pose) if rng.random() < 0.75 else colour(rng)
    stage.add(body, tint, bevel=r * 0.04, gloss=0.5)
    rim, hub = r - depth * rng.uniform(1.6, 2.6), r * rng.uniform(0.25, 0.4)
    if rng.random() < 0.7:
        web = np.maximum(pose.circle(rim), hub - pose.r())
        stage.add(web, tint * 0.85, lift=-r * 0.04, bevel=r * 0.02, gloss=0.4)
    if rng.random() < 0.5 and rim - hub > 0.2 * r:
        _holes(rng, stage, pose, int(rng.integers(3, 8)), (rim + hub) / 2)
    bore = hub * rng.uniform(0.4, 0.8)
    hole = pose.circle(bore)
    if rng.random() < 0.5:
        hole = np.minimum(hole, pose.box(bore * 0.3, bore * 0.4, x=0, y=bore))
    stage.cut(hole)


def cable_end(rng: np.random.Generator, stage: ObjectStage, pose: Pose) -> None:
    """A cut cable face: sheath, insulated cores, copper strands."""
    r = pose.radius
    filler = colour(rng, (0.75, 0.75, 0.73), (0.3, 0.3, 0.3), (0.9, 0.9, 0.88))
    sheath = colour(rng, (0.1, 0.1, 0.1), (0.8, 0.8, 0.8), (0.6, 0.6, 0.1), (0.7, 0.3, 0.1))
    stage.add(pose.circle(r), sheath, bevel=r * 0.04, gloss=0.3)
    stage.add(pose.circle(r * 0.88), filler * 0.8, lift=-r * 0.05, bevel=1.0)
    cores = int(rng.choice([1, 3, 3, 4]))
    core_r = r * {1: 0.82, 3: 0.40, 4: 0.35}[cores]
    at = 0.0 if cores == 1 else r * 0.87 - core_r
    strand = max(2.0, core_r * rng.uniform(0.08, 0.16))
    copper = colour(rng, (0.80, 0.48, 0.30), (0.82, 0.62, 0.42), (0.7, 0.7, 0.72))
    for turn in np.arange(cores) * 2 * np.pi / cores:
        x, y = at * np.cos(turn), at * np.sin(turn)
        jacket = pose.circle(core_r, x, y)
        stage.add(jacket, colour(rng), bevel=core_r * 0.08, gloss=0.3)
        bundle_r = core_r * 0.68
        bundle = pose.circle(bundle_r, x, y)
        stage.add(bundle, copper * 0.25, lift=-1.0, bevel=0.5)
        dots = np.maximum(_strands(pose, x, y, strand), bundle + strand * 0.4)
        shade = 1 + 0.15 * smooth_noise(rng, stage.size, strand * 2)
        stage.add(dots, copper * shade[..., None], bevel=strand * 0.5, gloss=0.6)


def _strands(pose: Pose, x: float, y: float, strand: float) -> np.ndarray:
    """Distance to the nearest of hexagonally packed circles of radius `strand`."""
    step, row_step = 2.15 * strand, 2.15 * strand * 0.8660254
    row = np.round((pose.y - y) / row_step)
    across = pose.x - x - 0.5 * step * np.mod(row, 2)
    dx = across - np.round(across / step) * step
    return np.hypot(dx, pose.y - y - row * row_step) - strand


def connector(rng: np.random.Generator, stage: ObjectStage, pose: Pose) -> None:
    """A moulded housing with rows of pins or sockets, latch and ribs."""
    r = pose.radius
    w, h = r * 0.9, r * rng.uniform(0.25, 0.55)
    shell = colour(rng, *PLASTICS) if rng.random() < 0.7 else colour(rng)
    stage.add(pose.box(w, h, r * 0.05), shell, bevel=r * 0.05, gloss=0.3)
    if rng.random() < 0.6:
        latch = pose.box(w * rng.uniform(0.15, 0.4), h * 0.14, 2.0, y=-h * 1.1)
        stage.add(latch, shell * 0.9, bevel=2.0, gloss=0.3)
    if rng.random() < 0.7:
        well = pose.box(w * 0.9, h * 0.75, r * 0.04)
        stage.add(well, shell * 0.55, lift=-r * 0.08, bevel=1.0)
    rows, columns = int(rng.integers(1, 4)), int(rng.integers(3, 11))
    pin = metal(rng, pose)
    half_w = 0.8 * w / columns * rng.uniform(0.35, 0.65)
    half_h = min(0.6 * h / rows * 0.6, half_w * rng.uniform(0.8, 2.0))
    cell_w, cell_h = 1.7 * w / columns, 1.3 * h / rows
    x = np.mod(pose.x + 0.85 * w, cell_w) - cell_w / 2
    y = np.mod(pose.y + 0.65 * h, cell_h) - cell_h / 2
    pins = np.maximum(np.abs(x) - half_w, np.abs(y) - half_h)
    area = pose.box(0.85 * w, 0.65 * h)
    pins = np.maximum(pins, area)
    socket = np.zeros(3) if rng.random() < 0.4 else pin
    stage.add(pins - 1.2, shell * 0.25, lift=-2.0, bevel=0.5)
    stage.add(pins, socket, lift=0.0, bevel=1.5, gloss=0.7)


def component(rng: np.random.Generator, stage: ObjectStage, pose: Pose) -> None:
    """A packaged chip or transistor with metal legs and print."""
    r = pose.radius
    w, h = r * 0.66, r * rng.uniform(0.35, 0.66)
    legs = int(rng.integers(2, 9))
    leg_w = w / legs * rng.uniform(0.25, 0.5)
    tint = colour(rng, (0.75, 0.75, 0.74), (0.78, 0.66, 0.4))
    reach = h + r * rng.uniform(0.05, 0.3)
    for at in np.linspace(-w * 0.85, w * 0.85, legs):
        stage.add(pose.box(leg_w, reach, x=at), tint, bevel=leg_w, gloss=0.8)
    body = colour(rng, (0.1, 0.1, 0.1), (0.16, 0.16, 0.18), (0.7, 0.65, 0.5))
    grain = 1 + 0.06 * rng.standard_normal((stage.size, stage.size, 1))
    stage.add(pose.box(w, h, r * 0.03), body * grain, lift=2.0, bevel=r * 0.06, gloss=0.2)
    stage.add(pose.circle(r * 0.06, -w * 0.75, -h * 0.65), body * 0.6, lift=1.5, bevel=1)
    if rng.random() < 0.8:
        ink = colour(rng, (0.85, 0.85, 0.82), (0.6, 0.6, 0.6))
        stage.stain(print_mask(rng, pose, h * rng.uniform(0.35, 0.7)), ink)


def cast_part(rng: np.random.Generator, stage: ObjectStage, pose: Pose) -> None:
    """A rough gray casting: plate, bosses, ribs, drilled and machined faces."""
    r, size = pose.radius, stage.size
    grain = 0.10 * rng.standard_normal((size, size)) + 0.08 * smooth_noise(rng, size, 9)
    base = colour(rng, (0.42, 0.42, 0.42), (0.55, 0.54, 0.52), (0.3, 0.27, 0.25), spread=0.015)
    skin = base * (1 + grain)[..., None]
    relief = 0.5 * smooth_noise(rng, size, 3.0)
    plate = pose.box(r * 0.8, r * rng.uniform(0.25, 0.55), r * rng.uniform(0.05, 0.25))
    bosses = [
        (x * r * 0.6, y * r * 0.3, r * rng.uniform(0.2, 0.4))
        for x, y in ((-1, rng.normal(0, 0.5)), (1, rng.normal(0, 0.5)), (0, rng.normal()))
    ][: int(rng.integers(1, 4))]
    for x, y, width in bosses:
        plate = np.minimum(plate, pose.circle(width, x, y))
    stage.add(plate, skin, bevel=r * 0.08, gloss=0.2, relief=relief)
    if rng.random() < 0.6:
        rib = np.maximum(pose.box(r * 0.8, r * 0.04), plate + 3)
        stage.add(rib, skin, lift=r * 0.06, bevel=r * 0.05, gloss=0.2, relief=relief)
    for x, y, width in bosses:
        face = metal(rng, pose)
        stage.add(pose.circle(width * 0.72, x, y), face, lift=r * 0.09, bevel=2, gloss=0.5)
        stage.cut(pose.circle(width * rng.uniform(0.25, 0.5), x, y))
