"""What a timetable is made of: cron, intervals, RRULEs, dates, hours, days, and clocks that change. Pure."""
