"""What a head is drawn into: colours and depth, with several samples a pixel where there is time.

With one sample a pixel, the outline of a jaw before its neck is a staircase: both cover their
pixels wholly, so that nothing tells afterwards where to soften. Coverage samples do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import moderngl


class DrawTarget:
    """A framebuffer of one size.

    Args:
        context: an OpenGL 3.3 context.
        size: (width, height) in pixels.
        samples: coverage samples a pixel; 0 for one in its middle.
    """

    def __init__(self, context: moderngl.Context, size: tuple[int, int], samples: int) -> None:
        self._context, self._size, self._samples = context, size, samples
        self._colour = context.texture(size, 4)
        self._depth = context.depth_renderbuffer(size, samples=samples)
        self._depth_alone = context.framebuffer(depth_attachment=self._depth)
        pixel = context.renderbuffer((1, 1), 4)
        self._other = context.framebuffer(pixel)
        self._parts = [self._colour, self._depth, self._depth_alone, pixel, self._other]
        if samples:
            many = context.renderbuffer(size, 4, samples=samples)
            self._shown = context.framebuffer(self._colour)
            self._drawn = context.framebuffer(many, self._depth)
            self._parts += [many, self._shown, self._drawn]
        else:
            self._shown = self._drawn = context.framebuffer(self._colour, self._depth)
            self._parts += [self._shown]

    def begin(self, background: np.ndarray) -> None:
        """Make it what is drawn into.

        Args:
            background: (h, w, 4) uint8, what it shows at first.
        """
        self._colour.write(background)
        self._depth_alone.clear(depth=1.0)
        if self._samples:
            self._context.copy_framebuffer(self._drawn, self._shown)
        self._drawn.use()

    def hurry(self) -> None:
        """Have what was asked for drawn now, and not when it is read.

        OpenGL's own word for it is not in moderngl; software renderers take another target for it.
        """
        self._other.use()
        self._other.clear()

    def read(self) -> np.ndarray:
        """Return (h, w, 4) uint8, what was drawn; not to be written to."""
        if self._samples:
            self._context.copy_framebuffer(self._shown, self._drawn)
        width, height = self._size
        return np.frombuffer(self._shown.read(components=4), np.uint8).reshape(height, width, 4)

    def read_depth(self) -> np.ndarray:
        """Return (h, w) uint32 from near to far; only with one sample a pixel."""
        width, height = self._size
        depth = self._drawn.read(attachment=-1, components=1, dtype="u4")
        return np.frombuffer(depth, np.uint32).reshape(height, width)

    def release(self) -> None:
        """Give back its buffers."""
        for part in self._parts:
            part.release()
