"""Handing a message to who delivers it: our webhooks, apprise, the services of a notification_config."""
