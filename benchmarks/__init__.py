"""What this software costs: how long a lab, a run and a matrix of probes take. `python -m benchmarks --help`.

No tests, and nothing here is packaged: docs/benchmarks.md has figures and the commands that made them.
"""
