"""The families of evidence, in order: their names, units and pixels."""

EVIDENCE = ("spike", "intensity", "intensity 3x3", "edge", "edge 3x3", "shift", "shift 3x3", "latent")
"""What `kind` may be, in order; a spike is found before scoring (labels)."""
UNITS = ("counts", "counts", "counts", "counts", "counts", "eV", "eV", "")
"""What the amount of each is in."""
FAMILIES = EVIDENCE[1:]
PIXELS = (1, 9, 1, 9, 1, 9, 0)
"""How many pixels each family adds up counts of."""
