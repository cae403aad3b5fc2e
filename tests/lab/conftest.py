"""The members are material to plant in; one of them looks like a test."""

collect_ignore = ["members"]
