"""Files in and out: settings, records, asv and pytest-benchmark formats."""
