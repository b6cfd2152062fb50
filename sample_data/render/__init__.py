"""A small waste-sorting line, path-traced with Blender, with labels that are exact by construction.

individuals.py   who exists: one seed per item, three disjoint sets
items/           geometry and materials of each class
surfaces.py      the belt's and the boards' painted textures
studio.py        an empty Blender scene, camera, lights, render settings
line.py          belt, guards and lamps of the sorting line
physics.py       items fall and come to rest
labels.py        id pass, silhouettes, visible masks
sensor.py        motion blur, noise, vignette: what a camera adds
frames.py        one labelled frame of the line; one empty belt
photos.py        one phone photo of one item, its silhouette and its cut-out
dataset.py       folders, COCO files, resuming
sheet.py         contact sheets
"""
