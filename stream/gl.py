"""OpenGL without a window: the context that the warp draws in."""

import sys

import moderngl

from stream.errors import UserError

_REMEDY = {
    "linux": "On Debian or Ubuntu: sudo apt-get install libegl1 libgl1 libgl1-mesa-dri libgles2",
    "win32": "Install the graphics driver of the card's maker, or Mesa's opengl32.dll",
    "darwin": "Run it in a session with a logged-in user; macOS gives no OpenGL without one",
}


def create_context() -> moderngl.Context:
    """Return an OpenGL 3.3 context that needs no window.

    EGL is asked first on Linux, since it needs no display; then the system's own way (GLX,
    WGL, CGL). Mesa's software renderer is enough.

    Raises:
        UserError: if no way works; every failure is listed with the package that mends it.
    """
    attempts = [{"backend": "egl"}, {}] if sys.platform.startswith("linux") else [{}]
    failures = []
    for keywords in attempts:
        try:
            return moderngl.create_context(require=330, standalone=True, **keywords)
        except Exception as error:  # noqa: BLE001  moderngl raises bare Exception
            failures.append(f"{keywords.get('backend', 'system')}: {error}")
    platform = "linux" if sys.platform.startswith("linux") else sys.platform
    raise UserError(
        "No OpenGL 3.3 context can be made",
        "; ".join(failures),
        _REMEDY.get(platform, _REMEDY["linux"]),
    )
