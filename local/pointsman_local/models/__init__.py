"""A real classifier for the laptop: trained, served and asked there. Hand-written digits, 8 by 8 pixels."""
