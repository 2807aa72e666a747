"""The simulated cloud: an EC2 API and what instances find around them. The network itself is infra/fabric."""
