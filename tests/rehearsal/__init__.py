"""The deploy, rehearsed: an unmodified sam-cli and AWS CLI against AWS in one process."""
