"""Bases: loading them from three places, their families, and class weights on them."""

__all__ = ["apply", "devices", "families", "load", "precision", "timing", "versions"]
