"""What a region has beside its VPCs: EC2, STS, S3 and ECR at public addresses and names, and the world outside.

world.py says who is where, as an Outside value; __main__.py is the program on the services' machine, front.py which
address and name it is for what, relay.py HTTP between a client and what answers, registry.py the container registry.
"""
