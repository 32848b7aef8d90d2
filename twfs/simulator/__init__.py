"""Twilio's Video and Accounts APIs and an S3 bucket, simulated on loopback, for `twfs demo`, trials and tests."""
