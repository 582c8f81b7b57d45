"""What runs inside a measured interpreter: the standard library only, in any commit's environment.

`launch` is started as a script and loads its siblings by their place, so that nothing of
groundspeed needs to be installed there and nothing of it is on `sys.path`.
"""
