"""What `ServerEmbedder` is made of: the protocol, the connections, and one run against a server."""
