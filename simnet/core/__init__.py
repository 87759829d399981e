"""Tier C: the protocol machines themselves, called directly by a scheduler, without tasks, codecs or streams."""
