"""Units: seconds, ratios and percentages, for people."""
