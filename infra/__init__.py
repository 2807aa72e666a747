"""The library under the suites: targets, the lab, probing, judging, faults. Never imports pytest."""

import logging

# What modules log is for whoever configures logging; without that, nothing is printed behind the caller's back.
logging.getLogger("kip_conformance").addHandler(logging.NullHandler())
