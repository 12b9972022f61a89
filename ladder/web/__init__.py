"""The services as one web application: its outermost layer, OpenAPI, and the pages at / and /docs."""
