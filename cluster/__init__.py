"""A data centre's engines on this machine: what ``make cluster`` and the tests start.

Database servers, the message broker and the load balancer are Debian's, as processes of
their own on loopback, with all they keep in one folder.
"""
