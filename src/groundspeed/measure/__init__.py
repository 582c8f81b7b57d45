"""Takes samples: launch twins, their environments, the machine."""
