/** What a terminal would take for a command, or would not show: control signs, changes of direction, halves of letters. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** One line, without what a terminal would take for a command. */
export function printable(text: string): string {
    return text.replace(UNPRINTABLE, '?');
}

/** As `printable`, line by line. */
export function printableLines(text: string): string {
    return text.split('\n').map(printable).join('\n');
}

/** JSON in one line that a terminal shows as it is; programs read the very same value. */
export function jsonOf(value: unknown): string {
    return JSON.stringify(value).replace(UNPRINTABLE, (sign) =>
        Array.from({ length: sign.length }, (_, at) => `\\u${sign.charCodeAt(at).toString(16).padStart(4, '0')}`).join(
            '',
        ),
    );
}

/** Without the credentials of what looks like a uri. */
export function redacted(text: string): string {
    return text.replace(/(\w+:\/\/)[^\s/]*@/g, '$1***@');
}

/** A duration for people: its two largest units. */
export function spoken(duration: number): string {
    if (duration === Infinity) return 'ever';
    if (duration < 1000) return `${Math.round(duration)}ms`;
    const seconds = Math.floor(duration / 1000);
    const units = [
        [Math.floor(seconds / 86_400), 'd'],
        [Math.floor(seconds / 3600) % 24, 'h'],
        [Math.floor(seconds / 60) % 60, 'm'],
        [seconds % 60, 's'],
    ] as const;
    const first = units.findIndex(([count]) => count > 0);
    return units
        .slice(first, first + 2)
        .filter(([count]) => count > 0)
        .map(([count, unit]) => `${count}${unit}`)
        .join('');
}

/** The time of this host's clock; with the day, unless that is today. */
export function clockTime(at: Date, now = new Date()): string {
    const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(twoDigits).join(':');
    if (at.toDateString() === now.toDateString()) return time;
    return `${at.getFullYear()}-${twoDigits(at.getMonth() + 1)}-${twoDigits(at.getDate())} ${time}`;
}

function twoDigits(number: number): string {
    return String(number).padStart(2, '0');
}

/** No column becomes narrower. */
const NARROWEST = 4;
const GAP = '  ';

/** Columns as wide as their widest cell. Where that is too wide for the terminal, the widest lose the ends of their cells. */
export function table(rows: readonly (readonly string[])[], width = Infinity): string[] {
    const cells = rows.map((row) => row.map((cell) => Array.from(cell)));
    const widths = fitted(
        cells.reduce<number[]>((so, row) => row.map((cell, at) => Math.max(so[at] ?? 0, cell.length)), []),
        width,
    );
    return cells.map((row) =>
        row
            .map((cell, at) => clipped(cell, widths[at] ?? 0))
            .join(GAP)
            .trimEnd(),
    );
}

function fitted(widths: readonly number[], width: number): number[] {
    const narrow = [...widths];
    let excess = narrow.reduce((sum, one) => sum + one + GAP.length, -GAP.length) - width;
    for (; excess > 0; excess--) {
        const widest = Math.max(...narrow);
        if (widest <= NARROWEST) break;
        narrow[narrow.indexOf(widest)] = widest - 1;
    }
    return narrow;
}

function clipped(cell: readonly string[], width: number): string {
    const shown = cell.length > width ? [...cell.slice(0, width - 1), '…'] : cell;
    return shown.join('') + ' '.repeat(width - shown.length);
}
