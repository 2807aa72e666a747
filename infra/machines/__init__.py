"""What can be read on a machine of the cluster, whatever runs it: packets on its wire, rules of its service proxy.

Pure readers over the Machine protocol; nothing here knows a target, and nothing is changed.
"""
