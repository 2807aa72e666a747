"""What a row puts into the cluster, and what it reads back from the API. Probing is in infra/probe."""
