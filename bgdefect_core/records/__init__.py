"""The data set on disk, its manifest, and the records of runs."""
