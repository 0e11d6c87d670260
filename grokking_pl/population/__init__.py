"""Many runs as one batch: members, their training, and diagrams of their phases."""
