"""pointsman: what is deployed. Events come in, decisions are pure, workflows carry them out."""
