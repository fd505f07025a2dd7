"""How Django writes a time by itself, which is in the administration: with the zone that it is in."""

DATETIME_FORMAT = "Y-m-d H:i:s T"
