"""The benchmarks that both sides run."""
