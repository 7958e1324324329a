"""The standard library: what each function takes, and what the ones do that need nothing but their arguments."""
