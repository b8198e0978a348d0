"""Readers of archives that strangers made: ar, tar, cpio, and the packages made of them.

They read, and never write to a path: what becomes of a member is its reader's business.
"""
