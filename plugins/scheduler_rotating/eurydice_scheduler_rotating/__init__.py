"""Fair between users by bytes, weighted by their priority."""
