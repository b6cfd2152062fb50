"""A small detector as a yardstick: is what we made worth training on?"""
