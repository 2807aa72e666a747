"""Seeded faults: one defect at a time in a lab that is otherwise green, to show that every check can fail.

One fault a file in seeded/; fault.py is their form, runner.py plants each and runs the suites, matrix.py judges what
went red. `python -m kip_conformance.infra.faults` runs them all.
"""
