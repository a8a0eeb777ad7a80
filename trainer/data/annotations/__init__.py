"""Labels that are drawn: outlines, run lengths, boxes, strokes. Knows no layout of files.

``record`` holds what a data set says of its pictures, ``shapes`` turn into masks, ``outlines`` and
``run_lengths`` go both ways, ``reading`` opens files that nobody vouches for.
"""
