"""Through a diode driven by lidi: TCP on both sides."""
