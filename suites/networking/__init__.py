"""Pods, nodes and Services: what any network of a Kubernetes cluster must do."""
