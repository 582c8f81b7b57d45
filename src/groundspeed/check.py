"""The use case of `groundspeed check`: measures, decides, prints nothing."""
