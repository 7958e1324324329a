"""What documents must keep beyond the form of each field."""
