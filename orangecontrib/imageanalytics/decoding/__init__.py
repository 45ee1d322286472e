"""What `pixels.decode` is made of: the formats, their depths and modes, and what they cost.

`pixels` brings Pillow and what resizes, some 50 ms: only what decodes imports it, when it does.
"""

#: Part of the cache's keys: to be raised when any squashed pixel comes out differently.
VERSION = 2

#: Bytes that decoding one image may take, on any computer that has them.
BUDGET = 1_000_000_000
