"""The network: HTTP with deadlines and retries, Twilio's REST API, ranged reads from S3."""
