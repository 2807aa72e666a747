"""Addresses, placement, groups and ways out of cells; images, and how cells come up."""
