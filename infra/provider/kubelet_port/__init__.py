"""The virtual node's kubelet port: what the API server asks a kubelet for, answered from the cells."""
