"""The IRC bot."""
