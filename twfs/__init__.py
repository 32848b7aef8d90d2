"""twfs: a Twilio account's Video Recordings and Compositions as decrypted, read-only files."""
