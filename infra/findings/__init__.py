"""Why a pair failed: the path is walked hop by hop, and the first hop that did not pass the probe on is named.

Values are finding.py, what was seen on the way trace.py, what lies behind it looks.py; walk.py puts them together.
"""
