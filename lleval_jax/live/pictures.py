"""Pictures: opened within limits, pages of PDF rendered, written as PNG, and two pictures compared."""

import hashlib
import io
import warnings
from typing import TYPE_CHECKING

from lleval_jax.errors import BadFile

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PIXELS = 50_000_000
DPI = 200
GUTTER = 20  # white pixels between pictures that are joined


def opened(content: bytes, name: str = "the picture") -> "Image":
    """A bitmap as RGB, what is transparent made white.

    Raises:
        BadFile: it is not a picture file, is damaged, or has more than 50 million pixels.
    """
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            found = Image.open(io.BytesIO(content))
            if found.width * found.height > MOST_PIXELS:
                text = f"{name} has {found.width} x {found.height} pixels, more than {MOST_PIXELS:,}; it is not opened"
                raise BadFile(text)
            found = found.convert("RGBA")
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadFile(f"{name} has too many pixels, more than {MOST_PIXELS:,}; it is not opened") from error
    except BadFile:
        raise
    except Exception as error:  # Pillow's decoders raise what they like on damaged files
        raise BadFile(f"{name} is not a picture file that can be opened: {str(error)[:120]}") from error
    white = Image.new("RGBA", found.size, "white")
    return Image.alpha_composite(white, found).convert("RGB")


def rendered(content: bytes, *, page: int = 1, dpi: int = DPI, name: str = "the file") -> "Image":
    """A page of a PDF file as a bitmap; pages count from 1.

    Raises:
        BadFile: it is not a PDF file, is encrypted, has no such page, or that would have more than 50 million pixels.
    """
    import pypdfium2

    try:
        with pypdfium2.PdfDocument(content) as document:
            if not 1 <= page <= len(document):
                raise BadFile(f"{name} has no page {page}; it has {len(document):,}")
            sheet = document[page - 1]
            pixels = sheet.get_width() * sheet.get_height() * (dpi / 72) ** 2
            if pixels > MOST_PIXELS:
                raise BadFile(f"page {page} of {name} has {pixels:.0f} pixels at {dpi} dpi, more than {MOST_PIXELS:,}")
            return sheet.render(scale=dpi / 72).to_pil().convert("RGB")  # type: ignore[arg-type]
    except pypdfium2.PdfiumError as error:
        raise BadFile(f"{name} is not a PDF file that can be opened: {error}") from error


def png(image: "Image") -> bytes:
    """The file of a bitmap, without times and names in it."""
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def kept(image: "Image", images: dict[str, bytes]) -> str:
    """Put a bitmap among `images` by the sha256 of its PNG file, which is returned."""
    content = png(image)
    key = hashlib.sha256(content).hexdigest()
    images[key] = content
    return key


def joined(images: "list[Image]") -> "Image":
    """Pictures in rows of two with white between them; one stays as it is."""
    from PIL import Image

    if len(images) == 1:
        return images[0]
    rows = [images[at : at + 2] for at in range(0, len(images), 2)]
    wide = max(sum(each.width for each in row) + GUTTER * (len(row) - 1) for row in rows)
    high = sum(max(each.height for each in row) for row in rows) + GUTTER * (len(rows) - 1)
    if wide * high > MOST_PIXELS:
        raise BadFile(f"the pictures of a figure have more than {MOST_PIXELS:,} pixels together")
    sheet, y = Image.new("RGB", (wide, high), "white"), 0
    for row in rows:
        x = 0
        for each in row:
            sheet.paste(each, (x, y))
            x += each.width + GUTTER
        y += max(each.height for each in row) + GUTTER
    return sheet
