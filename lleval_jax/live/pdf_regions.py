"""Which part of a page a caption speaks of: the drawings next to it, or the rows of a table and their cells."""

from lleval_jax.live.pdf_captions import Caption, joined
from lleval_jax.live.pdf_lines import HYPHEN, Piece, Sheet
from lleval_jax.live.values import Box, Cells

MARGIN = 3.0  # points around a crop
NEAR = 18.0  # points from a drawing to the words that belong to it
MOST = 2_000  # drawings that are looked at one by one
FEW = 8  # letters of a row that may be signs of the next one


def column(sheet: Sheet, caption: Caption) -> tuple[float, float]:
    """The left and right edge of the column of a caption; of the page where it goes over both, or there is one."""
    texts = [piece for piece in sheet.pieces if len(piece.text) > 25]
    left = min((piece.left for piece in sheet.pieces), default=0.0)
    right = max((piece.right for piece in sheet.pieces), default=sheet.width)
    middle = (left + right) / 2
    halves = [piece for piece in texts if piece.right < middle + 5 or piece.left > middle - 5]
    if len(halves) < 0.6 * len(texts) or caption.left < middle - 5 < middle + 5 < caption.right:
        return left - 5, right + 5
    return (left - 5, middle) if (caption.left + caption.right) / 2 < middle else (middle, right + 5)


def figure(sheet: Sheet, caption: Caption, others: list[Caption]) -> Box | None:
    """The box of a figure: what is drawn between its caption and the nearest paragraph above, else below."""
    left, right = column(sheet, caption)
    inside = [box for box in sheet.drawings + sheet.rules if left - 20 < (box[0] + box[2]) / 2 < right + 20]
    texts = [piece for piece in sheet.pieces if left - 10 < piece.left and piece.right < right + 10]
    words = [p.box for p in texts] + [box for box in sheet.across if left - 20 < box[0] and box[2] < right + 20]
    edge = min((piece.left for piece in texts if piece.width > 0.5 * (right - left)), default=left)
    stops = [piece for piece in texts if _is_paragraph(piece, edge, right - left, inside, caption)]
    stops += [line for other in others if other is not caption for line in other.lines]
    ends = [p.bottom for p in stops if p.bottom <= caption.top + 2 and p.left < right and left < p.right]
    start = max(ends, default=0.0)
    found = _union(inside, words, start, caption.top + 2)
    if found is None:
        below = [p.top for p in stops if p.top >= caption.bottom - 2 and p.left < right and left < p.right]
        found = _union(inside, words, caption.bottom - 1, min(below, default=sheet.height))
    if found is None:  # set by type, without drawings
        between = [p for p in texts if start - 1 <= p.top and p.bottom <= caption.top + 2]
        found = _around([piece.box for piece in between])
    return _within(found, sheet)


def _union(drawings: list[Box], words: list[Box], start: float, end: float) -> Box | None:
    """The box around drawings between two heights, and the words near to them: names of axes, but no running head."""
    shown = [box for box in drawings if start - 4 <= box[1] and box[3] <= end + 4]
    core = [box for box in shown if box[2] - box[0] > 2 < box[3] - box[1]]
    if not any(box[2] - box[0] > 15 and box[3] - box[1] > 15 for box in core) and len(shown) < 5:
        return None
    around = _around(core or shown)
    rest = [box for box in shown if box not in core] if len(shown) < MOST else []
    rest += [box for box in words if start - 1 <= box[1] and box[3] <= end + 1]
    while around is not None:
        near = [box for box in rest if _gap(around, box) < NEAR]
        if not near:
            break
        rest = [box for box in rest if _gap(around, box) >= NEAR]
        around = _around([around, *near])
    return around


def _gap(one: Box, other: Box) -> float:
    """Points between two boxes, the larger of across and down; below 0 where they overlap."""
    across = max(one[0] - other[2], other[0] - one[2])
    return max(across, one[1] - other[3], other[1] - one[3])


def _is_paragraph(piece: Piece, left: float, wide: float, drawings: list[Box], caption: Caption) -> bool:
    """Whether a piece is a line of the text: not small, long or at the column's edge, and not within a drawing."""
    x, y = (piece.left + piece.right) / 2, (piece.top + piece.bottom) / 2
    if any(box[0] <= x <= box[2] and box[1] <= y <= box[3] for box in drawings):
        return False
    if piece.size < caption.lines[0].size - 1.2:
        return False
    return piece.width > 0.5 * wide or piece.width > 20 and abs(piece.left - left) < 3


def table(sheet: Sheet, caption: Caption, others: list[Caption]) -> tuple[Box | None, Cells]:
    """(the box of a table, its cells): the rows below its caption, else above."""
    left, right = column(sheet, caption)
    mine = {id(line) for line in caption.lines}
    texts = [p for p in sheet.pieces if id(p) not in mine and left - 5 < (p.left + p.right) / 2 < right + 5]
    rules = sorted(r[1] for r in sheet.rules if r[0] < right and left < r[2] and r[2] - r[0] > 40)
    heads = [other for other in others if other is not caption and other.left < right and left < other.right]
    below = [p for p in texts if p.top >= caption.bottom - 1]
    above = [p for p in texts if p.bottom <= caption.top + 1]
    floor = min((each.top for each in heads if each.top > caption.bottom), default=sheet.height)
    roof = max((each.bottom for each in heads if each.bottom < caption.top), default=0.0)
    down = _table_rows(_rows(below), [y for y in rules if caption.bottom - 2 < y < floor], right - left, floor)
    mirrored = [row for row in reversed(_rows(above)) if row[0].bottom > roof]
    up = _table_rows_up(mirrored, [y for y in rules if roof < y < caption.top + 2], right - left)
    down = _nearest(down, up, caption)
    if len(down) < 2:
        return None, ()
    box = _around([piece.box for row in down for piece in row])
    return _within(box, sheet), cells(down)


def _nearest(down: list[list[Piece]], up: list[list[Piece]], caption: Caption) -> list[list[Piece]]:
    """The rows on the side where a table is; where it may be both, the nearer ones."""
    good = [rows for rows in (down, up) if len(rows) >= 2 and max(map(len, rows)) >= 2]
    if len(good) < 2:
        return good[0] if good else []
    return down if down[0][0].top - caption.bottom <= caption.top - up[-1][0].bottom else up


def _rows(pieces: list[Piece]) -> list[list[Piece]]:
    """Pieces by baseline, from the top; each row from the left. Signs above and below a sum belong to its row."""
    rows = list[list[Piece]]()
    for piece in sorted(pieces, key=lambda p: (p.base, p.left)):
        if rows and piece.base - rows[-1][0].base < 0.45 * piece.size:
            rows[-1].append(piece)
        else:
            rows.append([piece])
    for place in range(len(rows) - 1, -1, -1):
        if sum(len(piece.text) for piece in rows[place]) <= FEW:
            near = [rows[i] for i in (place - 1, place + 1) if 0 <= i < len(rows)]
            near = [row for row in near if abs(row[0].base - rows[place][0].base) < 0.8 * row[0].size]
            if near:
                max(near, key=len).extend(rows.pop(place))
    return [sorted(row, key=lambda p: p.left) for row in rows]


def _table_rows(rows: list[list[Piece]], rules: list[float], wide: float, floor: float) -> list[list[Piece]]:
    """The rows that belong to a table below its caption: to the last rule that no paragraph parts from the first."""
    if len(rules) >= 2:
        end = rules[0]
        for rule in rules[1:]:
            between = [row for row in rows if end < row[0].base < rule]
            if any(len(row) == 1 and row[0].width > 0.85 * wide for row in between):
                break
            end = rule
        shown = [row for row in rows if row[0].base < min(end + 1, floor)]
        for row in rows[len(shown) :]:  # a table that goes on over the page has no rule at its end
            if not shown or len(row) < 2 or row[0].base - shown[-1][0].base > 2.3 * row[0].size or row[0].base >= floor:
                break
            shown.append(row)
        return shown
    out = list[list[Piece]]()
    for row in rows:
        far = out and row[0].base - out[-1][0].base > 2.3 * row[0].size
        if far or row[0].base >= floor or len(row) == 1 and row[0].width > 0.6 * wide:
            break
        out.append(row)
    return out


def _table_rows_up(rows: list[list[Piece]], rules: list[float], wide: float) -> list[list[Piece]]:
    """The same above a caption; `rows` from the bottom up."""
    start = None
    if len(rules) >= 2:
        start = rules[-1]
        for rule in reversed(rules[:-1]):
            between = [row for row in rows if rule < row[0].base < start]
            if any(len(row) == 1 and row[0].width > 0.85 * wide for row in between):
                break
            start = rule
    out = list[list[Piece]]()
    for row in rows:
        if start is not None and row[0].base < start:
            break
        far = out and out[-1][0].base - row[0].base > 2.3 * row[0].size
        if start is None and (far or len(row) == 1 and row[0].width > 0.6 * wide):
            break
        out.append(row)
    return out[::-1]


def cells(rows: list[list[Piece]]) -> Cells:
    """Rows of pieces as cells.

    The columns are those of the rows with the usual number of pieces. A piece over several columns repeats its text. A
    row goes on in the cells above where each of its words had no room there.
    """
    counts = [len(row) for row in rows if len(row) > 1]
    if not counts:
        return tuple((row[0].text,) for row in rows)
    usual = max(set(counts), key=lambda count: (counts.count(count), count))
    full = [row for row in rows if len(row) == usual]
    edges = [(min(row[i].left for row in full), max(row[i].right for row in full)) for i in range(usual)]
    out, last = list[list[str]](), dict[int, Piece]()
    for row in rows:
        line, here = [""] * usual, dict[int, Piece]()
        for piece in row:
            for place in _columns(piece, edges):
                line[place] = f"{line[place]} {piece.text}".strip()
                here[place] = piece
        if out and not all(line) and all(_goes_on(last.get(i), piece, edges[i]) for i, piece in here.items()):
            out[-1] = [joined([a, b]) if a and b else a or b for a, b in zip(out[-1], line, strict=True)]
            last |= here
        else:
            out.append(line)
            last = here
    return tuple(tuple(cell.replace(HYPHEN, "-") for cell in line) for line in out)


def _goes_on(above: Piece | None, piece: Piece, edge: tuple[float, float]) -> bool:
    """Whether a piece goes on the text of the cell above: that line is too full for the first word of this one."""
    if above is None or edge[1] - edge[0] < 50 or not any(map(str.isalpha, piece.text)):
        return False
    if piece.base - above.base > 1.45 * piece.size:
        return False
    word = piece.width * len(piece.text.split(" ")[0]) / len(piece.text)
    return above.text.endswith(HYPHEN) or above.right + 0.3 * piece.size + word > edge[1]


def _columns(piece: Piece, edges: list[tuple[float, float]]) -> list[int]:
    """The columns that a piece is in: those it covers more than half of, else the nearest."""
    shared = [min(piece.right, right) - max(piece.left, left) for left, right in edges]
    most = [i for i, (left, right) in enumerate(edges) if shared[i] > 0.5 * (right - left) > 0]
    if len(most) > 1:
        return most
    return [max(range(len(edges)), key=lambda i: shared[i])]


def _around(boxes: list[Box]) -> Box | None:
    if not boxes:
        return None
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return (min(lefts), min(tops), max(rights), max(bottoms))


def _within(box: Box | None, sheet: Sheet) -> Box | None:
    """The box with a margin, on the page; None where nothing is left of it."""
    if box is None:
        return None
    left, top = max(box[0] - MARGIN, 0.0), max(box[1] - MARGIN, 0.0)
    right, bottom = min(box[2] + MARGIN, sheet.width), min(box[3] + MARGIN, sheet.height)
    return (left, top, right, bottom) if right - left > 5 and bottom - top > 5 else None
