"""The process that makes the cloud's API true: it follows what the API says, and networks and machines follow it.

machines.py starts and ends machines, steps.py is the order of things, __main__.py the
process. What is under way when it is killed is done again: whoever starts it again has the same cloud.
"""
