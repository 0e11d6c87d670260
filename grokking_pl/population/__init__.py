"""Many runs as one batch: members, their training, and diagrams."""
