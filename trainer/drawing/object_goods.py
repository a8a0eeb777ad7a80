"""Food, medicine and household goods for objects.py: each draws one on the stage."""

from __future__ import annotations

import numpy as np

from .noise import smooth_noise
from .object_hardware import metal
from .object_stage import ObjectStage, Pose, colour, print_mask

BISCUITS = (
    (0.80, 0.60, 0.33),
    (0.72, 0.47, 0.22),
    (0.88, 0.74, 0.45),
    (0.55, 0.34, 0.17),
    (0.30, 0.18, 0.11),
    (0.85, 0.66, 0.25),
)


def _wavy(rng: np.random.Generator, pose: Pose, amount: float) -> np.ndarray:
    """Outline radius over the angle, [size, size], about 1, irregular."""
    theta = pose.theta()
    outline = np.ones_like(theta)
    for k in (2, 3, 5, 8, 13):
        outline = outline + amount / k**0.7 * rng.normal() * np.cos(
            k * theta + rng.uniform(0, 6.28)
        )
    return outline


def cookie(rng: np.random.Generator, stage: ObjectStage, pose: Pose) -> None:
    """A crumbly baked disc: rough, browned, cracked; chips, sugar, or pressed holes."""
    r, size = pose.radius, stage.size
    dist = _cookie_outline(rng, pose)
    crumb = 1.2 * smooth_noise(rng, size, 4.0) + 0.6 * smooth_noise(rng, size, 2.0)
    dist = dist + rng.uniform(0.2, 1.6) * crumb
    rough = rng.uniform(0.3, 1.3)
    waves = smooth_noise(rng, size, r / 4)
    relief = rough * (1.6 * waves + 0.9 * crumb + 0.25 * rng.standard_normal((size, size)))
    dough = colour(rng, *BISCUITS)
    browned = 0.10 * waves + 0.05 * crumb + 0.12 * smooth_noise(rng, size, r / 2)
    rim = np.exp(np.minimum(dist, 0) / (0.12 * r))
    shade = 1 + browned - rng.uniform(0, 0.4) * rim
    tint = dough ** np.clip(2 - shade, 0.6, 1.8)[..., None] * shade[..., None]
    stage.add(dist, tint, bevel=r * rng.uniform(0.1, 0.4), gloss=0.05, relief=relief)
    inside = np.clip(-dist - 1, 0, 1)
    if rng.random() < 0.6:  # cracks follow the zero line of smooth noise
        vein = np.abs(smooth_noise(rng, size, r / rng.uniform(1.5, 4)) + 0.15 * crumb)
        crack = np.clip(1 - vein / rng.uniform(0.04, 0.12), 0, 1) * inside
        crack = crack * np.clip(smooth_noise(rng, size, r / 2) + 0.3, 0, 1)
        stage.height -= 2.5 * crack
        stage.stain(0.7 * crack, dough * 0.3)
    pores = np.clip(smooth_noise(rng, size, 3.0) - 1.6, 0, 1) * inside
    stage.height -= 2 * pores
    stage.stain(np.clip(1.2 * pores, 0, 0.8), dough * 0.35)
    topping = int(rng.integers(5))
    if topping <= 1:
        _chips(rng, stage, pose, crumb, inside)
    elif topping == 2:
        grains = np.clip(3 * (smooth_noise(rng, size, 2.0) - 1.1), 0, 1) * inside
        stage.height += grains
        stage.stain(0.8 * grains, colour(rng, (0.97, 0.95, 0.9)))
    elif topping == 3:
        _pressed(rng, stage, pose, dough)


def _cookie_outline(rng: np.random.Generator, pose: Pose) -> np.ndarray:
    """Signed distance of a round, stamped or square biscuit, maybe bitten."""
    r, kind = pose.radius, int(rng.integers(5))
    if kind == 0:
        teeth = int(rng.integers(12, 40))
        edge = 0.94 + 0.04 * np.abs(np.cos(teeth / 2 * pose.theta()))
        dist = pose.r() - r * edge
    elif kind == 1:
        side = r * rng.uniform(0.45, 0.68)
        dist = pose.box(r * 0.7, side, r * 0.12) - r * 0.02 * np.cos(pose.x / r * 30)
    else:
        dist = pose.r() - 0.95 * r * _wavy(rng, pose, rng.uniform(0.003, 0.03))
    if rng.random() < 0.15:
        turn = rng.uniform(0, 6.28)
        bite = pose.circle(r * 0.4, r * np.cos(turn), r * np.sin(turn))
        dist = np.maximum(dist, -bite)
    return dist


def _chips(
    rng: np.random.Generator,
    stage: ObjectStage,
    pose: Pose,
    crumb: np.ndarray,
    inside: np.ndarray,
) -> None:
    """Chocolate, nut or fruit pieces half sunk in the dough."""
    r = pose.radius
    tint = colour(rng, (0.20, 0.11, 0.07), (0.12, 0.07, 0.05), (0.9, 0.85, 0.7), (0.6, 0.1, 0.1))
    warp = np.float32(rng.uniform(0.3, 1.0)) * crumb
    for _ in range(int(rng.integers(3, 13))):
        at, turn = r * 0.85 * np.sqrt(rng.random()), rng.uniform(0, 6.28)
        width = r * rng.uniform(0.05, 0.15)
        chip = pose.circle(width, at * np.cos(turn), at * np.sin(turn)) + warp
        chip = np.where(inside > 0, chip, 9.0)
        shade = tint * rng.uniform(0.8, 1.2)
        stage.add(chip, shade, lift=r * 0.2, bevel=width * 0.6, gloss=0.3)


def _pressed(rng: np.random.Generator, stage: ObjectStage, pose: Pose, dough: np.ndarray) -> None:
    """Docker holes in rings or a grid, sometimes stamped letters."""
    r, hole = pose.radius, pose.radius * rng.uniform(0.02, 0.05)
    step = r * rng.uniform(0.2, 0.4)
    dx = pose.x - np.round(pose.x / step) * step
    dy = pose.y - np.round(pose.y / step) * step
    dots = np.clip(hole + 0.5 - np.hypot(dx, dy), 0, 1) * (pose.r() < 0.75 * r)
    if rng.random() < 0.4:
        dots = print_mask(rng, pose, r * 0.5)
    stage.height -= 3 * dots
    stage.stain(0.55 * dots, dough * 0.3)


def nutshell(rng: np.random.Generator, stage: ObjectStage, pose: Pose) -> None:
    """A hazelnut-like shell: brown, fine streaks, a pale rough cap."""
    r, size = pose.radius, stage.size
    outline = 0.95 + 0.05 * np.cos(pose.theta() * 3) * rng.random()
    dist = (np.hypot(pose.x, pose.y * rng.uniform(1.0, 1.25)) - r * outline) * 0.9
    spokes = smooth_noise(rng, size, 20)
    turn = pose.theta() * rng.uniform(8, 20)
    streak = 0.10 * np.sin(turn + 2 * spokes) + 0.08 * smooth_noise(rng, size, 3)
    shell = colour(rng, (0.48, 0.27, 0.13), (0.6, 0.38, 0.2), (0.35, 0.18, 0.09))
    stage.add(dist, shell * (1 + streak)[..., None], bevel=r * 0.8, gloss=0.25)
    if rng.random() < 0.6:
        cap = pose.circle(r * rng.uniform(0.3, 0.55), x=r * rng.uniform(-0.2, 0.2))
        pale = colour(rng, (0.72, 0.56, 0.38), (0.62, 0.45, 0.3))
        fleck = 1 + 0.12 * smooth_noise(rng, size, 2.5)
        alpha = np.clip(0.5 - (cap + 1.5 * smooth_noise(rng, size, 5)) / 2, 0, 1)
        stage.stain(alpha * (dist < 0), pale * fleck[..., None])


def capsule(rng: np.random.Generator, stage: ObjectStage, pose: Pose) -> None:
    """A two-part gelatine capsule with a band and print."""
    r = pose.radius
    width = r * rng.uniform(0.24, 0.42)
    body = pose.segment(r - width, width)
    stage.add(body, colour(rng), bevel=width, gloss=0.9)
    joint = r * rng.uniform(-0.15, 0.25)
    cap = np.maximum(pose.segment(r - width, width * 1.04), pose.x - joint)
    stage.add(cap, colour(rng), bevel=width, lift=width * 0.04, gloss=0.9)
    if rng.random() < 0.7:
        x = joint + rng.choice([-0.45, 0.35]) * r
        ink = colour(rng, (0.95, 0.95, 0.95), (0.1, 0.1, 0.1), (0.5, 0.1, 0.1))
        stage.stain(print_mask(rng, pose, width * 0.7, x=x) * (body < 0), ink)


def pill(rng: np.random.Generator, stage: ObjectStage, pose: Pose) -> None:
    """A round, oval or oblong tablet; score line, print, specks."""
    r, kind = pose.radius, int(rng.integers(3))
    narrow = r * rng.uniform(0.4, 0.7)
    dist = (
        pose.circle(r),
        pose.segment(r - narrow, narrow),
        (np.hypot(pose.x, pose.y * r / narrow) - r) * 0.8,
    )[kind]
    base = colour(rng, (0.93, 0.93, 0.91), (0.9, 0.85, 0.7), (0.85, 0.5, 0.5), spread=0.03)
    if rng.random() < 0.35:
        base = colour(rng)
    stage.add(dist, base, bevel=narrow * rng.uniform(0.15, 0.9), gloss=rng.uniform(0, 0.6))
    inside = dist < -2
    if rng.random() < 0.4:
        specks = np.clip(4 * (smooth_noise(rng, stage.size, 2.5) - 1.3), 0, 1) * inside
        stage.stain(0.7 * specks, colour(rng))
    if rng.random() < 0.5:
        score = np.clip(1.5 - np.abs(pose.x) / (0.015 * r + 0.6), 0, 1) * inside
        stage.height -= 2.5 * score
    if rng.random() < 0.5:
        letters = print_mask(rng, pose, narrow * 0.6, y=narrow * 0.05) * inside
        stage.height -= 1.5 * letters
        stage.stain(0.15 * letters, base * 0.5)


def bottle_top(rng: np.random.Generator, stage: ObjectStage, pose: Pose) -> None:
    """A crown cap from above, or a ribbed screw cap."""
    r = pose.radius
    teeth, depth = (21, 0.035) if rng.random() < 0.6 else (int(rng.integers(40, 90)), 0.012)
    wave = np.cos(teeth * pose.theta())
    paint = colour(rng) if rng.random() < 0.7 else metal(rng, pose)
    skirt = pose.r() - r * (1 - depth + depth * wave)
    flute = 0.05 * r * wave
    stage.add(skirt, paint, bevel=r * 0.2, gloss=0.6, relief=flute)
    face = pose.circle(r * rng.uniform(0.74, 0.84))
    stage.add(face, paint, lift=r * 0.14, bevel=r * 0.06, gloss=0.5)
    if rng.random() < 0.5:
        band = np.abs(pose.r() - r * rng.uniform(0.55, 0.7)) - r * 0.02
        stage.stain(np.clip(0.5 - band, 0, 1), colour(rng))
    if rng.random() < 0.7:
        stage.stain(print_mask(rng, pose, r * rng.uniform(0.25, 0.55)), colour(rng))


def bottle_mouth(rng: np.random.Generator, stage: ObjectStage, pose: Pose) -> None:
    """A glass bottle looked into from above: bright and dark rings, a dark well."""
    r, size = pose.radius, stage.size
    glass = colour(rng, (0.25, 0.14, 0.05), (0.05, 0.2, 0.1), (0.55, 0.6, 0.6), (0.1, 0.1, 0.12))
    stage.add(pose.circle(r), glass, bevel=r * 0.2, gloss=1.0)
    uneven = 1 + 0.3 * smooth_noise(rng, size, size / 5)
    edges = np.sort(rng.uniform(0.4, 0.95, int(rng.integers(3, 7))))[::-1]
    for edge in edges:
        shade = glass * rng.choice([0.25, 0.6, 1.5, 3.0]) + rng.choice([0, 0.1])
        soft = np.clip(0.5 - pose.circle(r * edge) / rng.uniform(1, 4), 0, 1)
        stage.stain(soft, np.clip(shade * uneven[..., None], 0, 1))
    well = colour(rng, (0.03, 0.03, 0.03), (0.9, 0.9, 0.88), (0.3, 0.2, 0.1))
    stage.add(pose.circle(r * edges[-1] * 0.8), well, bevel=1.0, gloss=0.1)


def tile(rng: np.random.Generator, stage: ObjectStage, pose: Pose) -> None:
    """A square or oblong tile: speckled, veined or plain glaze, eased edges."""
    r, size = pose.radius, stage.size
    dist = pose.box(r * 0.7, r * rng.uniform(0.4, 0.7), r * rng.uniform(0.01, 0.08))
    base = colour(rng)[None, None] * np.ones((size, size, 1), np.float32)
    if rng.random() < 0.5:
        base = base * (1 + 0.15 * smooth_noise(rng, size, 2.0)[..., None])
    stage.add(dist, base, bevel=r * rng.uniform(0.03, 0.1), gloss=rng.uniform(0, 0.8))
    inside = dist < 0
    kind = int(rng.integers(3))
    if kind == 0:
        vein = np.abs(smooth_noise(rng, size, r / 2) + 0.3 * smooth_noise(rng, size, r / 8))
        stage.stain(0.7 * np.clip(1 - vein / 0.12, 0, 1) * inside, colour(rng))
    elif kind == 1:
        for level in (0.6, 0.9, 1.2):
            flake = smooth_noise(rng, size, rng.uniform(3, 8)) > level
            stage.stain(0.8 * flake * inside, colour(rng))


def button(rng: np.random.Generator, stage: ObjectStage, pose: Pose) -> None:
    """A sewing button: raised rim, two or four holes, pearly or horn-like."""
    r, size = pose.radius, stage.size
    marble = rng.uniform(0, 0.25) * smooth_noise(rng, size, r / 2)
    tint = colour(rng) * (1 + marble)[..., None]
    stage.add(pose.circle(r), tint, bevel=r * rng.uniform(0.08, 0.2), gloss=0.7)
    dish = pose.circle(r * rng.uniform(0.55, 0.8))
    stage.add(dish, tint * 0.95, lift=-r * 0.02, bevel=r * 0.03, gloss=0.6)
    at, hole = r * rng.uniform(0.16, 0.26), r * rng.uniform(0.06, 0.1)
    turns = (0, 1, 2, 3) if rng.random() < 0.6 else (0, 2)
    for turn in turns:
        x, y = at * np.cos(turn * np.pi / 2), at * np.sin(turn * np.pi / 2)
        stage.cut(pose.circle(hole, x, y))
