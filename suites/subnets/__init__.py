"""Addresses, public and private subnets, images and groups of cells."""
