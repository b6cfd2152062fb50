"""Files in and out: pictures, crops and belts, output folders. Nothing else in the package opens user files."""
