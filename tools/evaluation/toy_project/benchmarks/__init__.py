"""The suite that both gates run."""
