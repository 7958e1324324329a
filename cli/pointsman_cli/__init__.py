"""The command `pointsman`."""
