"""The faults themselves, one a file: each module has FAULT. A fault is added by adding a file."""
