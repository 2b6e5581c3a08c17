"""The load test: `make load` drives the running service with Locust. See docs/capacity.md.

Importing Locust replaces the standard library's sockets and threads by gevent's. So only locustfile.py imports it, and
it is read by a `locust` process of its own.
"""
