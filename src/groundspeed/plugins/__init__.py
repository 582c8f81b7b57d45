"""What groundspeed adds to other tools; each module imports next to nothing until it is needed."""
