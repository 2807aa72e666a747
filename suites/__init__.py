"""The checks, and nothing else: each reads as the requirement that it judges. The registry is requirements.yaml."""
