"""How often the judge is wrong, and how fast it is right: simulated rollouts, in bulk, beside its peers' rules."""
