"""The demo project after five lively days, and a web server that shows it: for the eyes, of people and of axe."""
