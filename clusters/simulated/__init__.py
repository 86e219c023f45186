"""The embedded cluster: hosts, links and election services in virtual time."""
