"""What would the judge catch for a service of such traffic, after how many requests? Simulated, by the judge itself."""
