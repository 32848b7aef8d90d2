"""What must not get out, who must not get in, and whom twfs must not believe."""
