"""Boards and place and route."""
