"""What looks on while a program is recorded or swept: listings, anomaly detection, profiles.

Read `observer.py` first: what they have in common. Nothing here costs anything while it is off. This room must not know which
transforms, checks or pictures look through it.
"""
