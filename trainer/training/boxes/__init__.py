"""A class from boxes alone: the filled boxes are learned first, the class then tightens them to
masks, and is learned again from these."""
