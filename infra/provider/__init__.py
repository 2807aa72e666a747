"""The reference provider of the Kip profile: a virtual node each of whose pods is an instance of its own (a cell).

It speaks boto3 to the cloud and plain HTTP to the API server and to the agents on the cells; it knows no target and
keeps no file: what must outlive it is in the cluster (a Secret) and in the tags of its instances.
"""
