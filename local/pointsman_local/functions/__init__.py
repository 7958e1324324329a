"""The functions, each a process of its own, behind the check that Cloud Run makes before a container."""
