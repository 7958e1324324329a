"""Who rings: one file for each sender, with how it signs and which of its calls are events of ours."""
