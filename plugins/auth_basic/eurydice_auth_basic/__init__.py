"""HTTP Basic authentication over argon2 password hashes."""
