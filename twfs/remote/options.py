"""The options of the network."""

from twfs.option import Option, number

OPTIONS = (
    Option("api_url", str, "https://video.twilio.com", "base URL of the Video API; plain http only on loopback", "URL"),
    Option("accounts_url", str, "https://accounts.twilio.com", "base URL of the Accounts API, likewise", "URL"),
    Option(
        "media_hosts",
        lambda text: tuple(part.lower().lstrip(".") for part in text.split(":") if part),
        ("amazonaws.com", "twilio.com"),
        "host suffixes that media may come from, joined by ':'; with a loopback api_url also loopback",
        "HOSTS",
    ),
    Option("connections", number(int, 1, 256), 16, "parallel ranged requests", "N"),
    Option("timeout", number(float, 1, 3600), 30.0, "seconds any operation may take", "SECONDS"),
    Option("api_rate", number(float, 0.1, 80), 40.0, "Twilio API requests per second (the account's quota is 80)", "N"),
)
