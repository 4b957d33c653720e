"""The native one-way link: UDP with erasure coding and pacing."""
