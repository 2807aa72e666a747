"""The cloud's API: one HTTP endpoint that clients of EC2, S3, ECR and IAM use as they use the real one.

moto answers; what it does otherwise than the Amazon EC2 API Reference is intercepted here by action, one concept a
file. Nothing here knows namespaces: what the network should be is read from `infra/cloud/view.py`, and instances are
made to run by a `Realizer`.
"""
