"""The identity a trusted reverse proxy puts in a header."""
