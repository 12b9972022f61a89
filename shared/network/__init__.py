"""Hosts and sockets: names and whether they resolve, connections that notice silence, the outbound guard."""
