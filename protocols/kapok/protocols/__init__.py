"""Cryptographic protocols, sans-IO: messages in, messages and results out. No sockets, no files, no clock."""
