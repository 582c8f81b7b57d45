"""Small pieces of work of several kinds, each done a stated number of times."""
