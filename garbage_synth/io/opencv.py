"""What to tell a user whose OpenCV does not import. Imports nothing itself."""

from garbage_synth.errors import MissingDependencyError

__all__ = ["opencv_missing"]


def opencv_missing(reason: object) -> MissingDependencyError:
    """The error that names the one line which mends an OpenCV that cannot be imported."""
    return MissingDependencyError(
        f"OpenCV cannot be imported ({reason}); install the system libraries it needs: "
        "apt-get install --no-install-recommends libxcb1 libgl1 libglib2.0-0 "
        "(or take the build without them: pip uninstall opencv-python; pip install opencv-python-headless)"
    )
